"""Figures: measured points over derived curves, log-log, and the roofline. Each is written as PNG and as SVG.

Needs matplotlib (the `plot` extra), which is imported when a figure is drawn. Series differ in marker and line style,
so that a figure reads without colour.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfcost.check.cells import TIME
from tfcost.check.curves import PLOTTED, Series, series
from tfcost.check.figures import Figure, figures
from tfcost.check.roofline import Roofline, rooflines
from tfcost.check.sweeps import Point
from tfcost.errors import UserError
from tfcost.report.drawing import COLOURS, drawing_style, series_style, short_count
from tfcost.symbols import SYMBOLS

_TITLES = {"matmul_flops": "matmul FLOPs", "issued_bytes": "issued bytes (SM to L2)", "peak_bytes": "peak memory",
           TIME: "time (lines: predicted, not fitted)"}  # fmt: skip
_UNITS = {"matmul_flops": "FLOP", "issued_bytes": "B", "peak_bytes": "B", TIME: "s"}


def write_plots(points: Sequence[Point], folder: Path) -> list[Path]:
    """Draws every figure that `points` give into `folder` and returns the files' paths.

    UserError without matplotlib, if `folder` cannot be written, and if there is nothing to draw.
    """
    with drawing_style():
        return _written(points, folder)


def _written(points: Sequence[Point], folder: Path) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [*_draw_figures(points, folder), *_draw_rooflines(points, folder)]
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror}") from error
    if not written:
        raise UserError("nothing to draw: no sweep has three sizes")
    return written


def _draw_figures(points: Sequence[Point], folder: Path) -> Iterator[Path]:
    import matplotlib.pyplot as plt

    for figure in figures(points):
        panels = _measured_panels(figure)
        if not panels:
            continue
        rows, columns = (len(panels) + 1) // 2, min(len(panels), 2)
        size = (8.5, 0.9 + 2.9 * rows)
        drawn, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
        for axis in axes.flat[len(panels) :]:
            axis.remove()
        for axis, (quantity, found) in zip(axes.flat, panels.items(), strict=False):
            _panel(axis, figure, found, quantity)
        handles, labels = _legend(figure)
        drawn.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, handlelength=4.5)
        drawn.suptitle(figure.title, fontsize=10)
        yield from _save(drawn, folder / figure.name)


def _measured_panels(figure: Figure) -> dict[str, list[Series]]:
    """The series by quantity, of the quantities that were measured: a curve alone shows nothing that holds."""
    panels = {quantity: [series(sweep, quantity) for sweep in figure.sweeps] for quantity in PLOTTED}
    return {quantity: found for quantity, found in panels.items() if any(one.measured for one in found)}


def _panel(axis: Any, figure: Figure, found: Sequence[Series], quantity: str) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    for place, one in enumerate(found):
        style = series_style(place)
        if one.derived:
            axis.plot(*zip(*one.derived, strict=True), color=style["color"], linestyle=style["linestyle"], linewidth=1)
        if one.measured:
            axis.plot(*zip(*one.measured, strict=True), color=style["color"], marker=style["marker"], linestyle="",
                      markersize=5, markerfacecolor="none", markeredgewidth=1.1)  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: short_count(value))
    axis.yaxis.set_major_formatter(EngFormatter(_UNITS[quantity]))
    axis.yaxis.set_minor_formatter(NullFormatter())
    low, high = axis.get_ylim()
    if high < 100 * low:
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_title(_TITLES[quantity], fontsize=9)
    axis.set_xlabel(f"{figure.symbol}, {SYMBOLS[figure.symbol].meaning.partition(',')[0].partition(' (')[0]}")


def _legend(figure: Figure) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], markersize=5, markerfacecolor="none", markeredgewidth=1.1, linewidth=1, **series_style(place))
        for place in range(len(figure.labels))
    ]
    return handles, list(figure.labels)


def _draw_rooflines(points: Sequence[Point], folder: Path) -> Iterator[Path]:
    """A dot is a number that the legend explains: two dozen cases are more than there are signs."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter, NullFormatter

    for one in rooflines(points):
        drawn, axis = plt.subplots(figsize=(8, 5.4), layout="constrained")
        _ceilings(axis, one)
        for place, dot in enumerate(one.dots, start=1):
            axis.plot(dot.intensity, dot.speed, linestyle="", markersize=5 + 3 * len(str(place)), markeredgewidth=0.3,
                      color=COLOURS[place % len(COLOURS)], marker=f"${place}$", label=dot.label)  # fmt: skip
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(top=2 * one.peak)
        axis.set_xlim(left=one.range[0] / 4)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.yaxis.set_major_formatter(EngFormatter("FLOP/s"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("matmul FLOPs per byte of device-memory traffic, measured")
        axis.set_ylabel("matmul FLOPs per second, measured")
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        drawn.suptitle(one.title, fontsize=10)
        yield from _save(drawn, folder / one.name)


def _ceilings(axis: Any, one: Roofline) -> None:
    low, high = one.range
    corner = one.peak / one.bandwidth
    axis.plot([low, corner, high], [low * one.bandwidth, one.peak, one.peak], color="#444444", linewidth=1.2)
    ends = ((low, low * one.bandwidth, f"{one.bandwidth / 1e12:.2f} TB/s  ", "right", 0),
            (high, one.peak, f"{one.peak / 1e12:.0f} TFLOP/s", "right", 5))  # fmt: skip
    for x, y, text, side, up in ends:
        axis.annotate(text, (x, y), textcoords="offset points", xytext=(0, up), ha=side, fontsize=8)


def _save(drawn: Any, path: Path) -> Iterator[Path]:
    import matplotlib.pyplot as plt

    drawn.canvas.draw()
    drawn.set_layout_engine("none")  # placed once, for both files
    for ending, options in ((".png", {"dpi": 150}), (".svg", {"metadata": {"Date": None}})):
        file = path.with_name(path.name + ending)
        drawn.savefig(file, **options)
        yield file
    plt.close(drawn)
