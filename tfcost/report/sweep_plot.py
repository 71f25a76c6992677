"""The plots of a sweep as one figure in a file, log-log, crossovers marked: .svg, .png or .pdf, by the file's name.

Needs matplotlib (the `plot` extra), which is imported when the figure is drawn.
"""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from tfcost.errors import UserError
from tfcost.files import write_atomically
from tfcost.report.drawing import drawing_style, series_style, short_count
from tfcost.report.page import Plot
from tfcost.report.units import human

_OPTIONS: dict[str, dict[str, Any]] = {
    ".svg": {"metadata": {"Date": None}},
    ".png": {"dpi": 150},
    ".pdf": {"metadata": {"CreationDate": None}},
}
_MARK: dict[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
}
_LABEL_ROWS = 5
_BETWEEN = {
    (2, False): (1, 1.5),
    (2, True): (1, 1.25, 1.5, 1.75),
    (10, False): (1, 2, 5),
    (10, True): (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
}
"""Steps between the powers of an axis, by its base and whether its ends are within three times of each other."""


def check_plot_path(path: Path) -> None:
    """UserError, before anything is computed, for a kind of file that is not drawn or a folder that is not there."""
    if path.suffix.lower() not in _OPTIONS:
        raise UserError(f"--plot: '{path}' does not say what to draw: the name must end in {', '.join(_OPTIONS)}")
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"--plot: cannot write {path}: {'it is a folder' if path.is_dir() else 'no such folder'}")


def write_plot(plots: Sequence[Plot], path: Path, title: str) -> None:
    """Draws `plots` as panels of one figure into `path`.

    UserError without matplotlib, for a name that ends in none of .svg, .png, .pdf, if `path` cannot be written, and if
    there is nothing to draw.
    """
    check_plot_path(path)
    drawn = [plot for plot in plots if plot.curves]
    if not drawn:
        raise UserError("--plot: nothing to draw at these lengths")
    with drawing_style():
        write_atomically(path, _figure(drawn, title, path.suffix.lower()))


def _figure(plots: Sequence[Plot], title: str, kind: str) -> bytes:
    import matplotlib.pyplot as plt

    columns = min(len(plots), 2)
    rows = -(-len(plots) // columns)
    names = list(dict.fromkeys(curve.name for plot in plots for curve in plot.curves))
    figure, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 0.9 + 3.0 * rows), layout="constrained",
                                squeeze=False)  # fmt: skip
    for axis in axes.flat[len(plots) :]:
        axis.remove()
    for axis, plot in zip(axes.flat, plots, strict=False):
        _panel(axis, plot, names)
    marked = any(plot.marks for plot in plots)
    figure.legend(*_legend(names, marked), loc="outside lower center", ncols=min(len(names) + marked, 4),
                  handlelength=4)  # fmt: skip
    figure.suptitle(title, fontsize=10)
    stream = io.BytesIO()
    figure.savefig(stream, format=kind[1:], **_OPTIONS[kind])
    plt.close(figure)
    return stream.getvalue()


def _panel(axis: Any, plot: Plot, names: Sequence[str]) -> None:
    from matplotlib.ticker import FuncFormatter

    for curve in plot.curves:
        axis.plot(*zip(*curve.points, strict=True), linewidth=1.2, markersize=4.5, markerfacecolor="none",
                  **series_style(names.index(curve.name)))  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    _value_axis(axis, plot.unit)
    axis.set_title(plot.title, fontsize=9)
    axis.set_xlabel(plot.symbol)
    if plot.marks:
        _mark(axis, plot)


def _value_axis(axis: Any, unit: str) -> None:
    """A logarithmic axis with powers of 2 for bytes and of 10 for others; where there is hardly one, steps between."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    base = 2 if unit == "B" else 10
    axis.set_yscale("log", base=base)
    low, high = axis.get_ylim()
    if high < low * base**2:
        axis.yaxis.set_major_locator(LogLocator(base, subs=_BETWEEN[base, high < 3 * low]))
    # Powers of 10 are computed in floats, which makes them a little less than they should be; those of 2 are exact.
    rounded = Fraction if base == 2 else lambda value: Fraction(f"{value:.6g}")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: human(rounded(value), unit)))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _mark(axis: Any, plot: Plot) -> None:
    """A ring at every crossing, and a line from it down to its length, written below all curves."""
    lengths = sorted({x for x, _ in plot.marks})
    low, high = axis.get_ylim()
    rows = min(len(lengths), _LABEL_ROWS)
    bottom = low / (high / low) ** (0.065 * rows)
    axis.plot(*zip(*plot.marks, strict=True), **_MARK)
    axis.vlines(lengths, bottom, [max(y for x, y in plot.marks if x == at) for at in lengths], color="black",
                linewidth=0.6, linestyle=":")  # fmt: skip
    for place, at in enumerate(lengths):
        height = 3 + 10 * (rows - 1 - place % rows)
        axis.annotate(f"{plot.symbol} = {at:.0f}", (at, bottom), textcoords="offset points", xytext=(3, height),
                      fontsize=7.5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
    axis.set_ylim(bottom, high)


def _legend(names: Sequence[str], marked: bool) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linewidth=1.2, markersize=4.5, markerfacecolor="none", **series_style(place))
        for place in range(len(names))
    ]
    if marked:
        return [*handles, Line2D([], [], **_MARK)], [*names, "crossover"]
    return handles, list(names)
