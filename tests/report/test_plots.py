"""Figures: what they show is what was measured, they are legible without colour, and they are written whole."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from check.synthetic import CEILINGS, case, evidence, flash_measurements, measurement

from tfcost.book import load_book
from tfcost.check.curves import series
from tfcost.check.figures import figures
from tfcost.check.roofline import rooflines
from tfcost.check.sweeps import Point, points, sweeps
from tfcost.errors import UserError
from tfcost.evidence.record import Memory
from tfcost.report import plots
from tfcost.report.drawing import series_style

BOOK = load_book()


@pytest.fixture(scope="module")
def measured() -> list[Point]:
    return points(evidence(*flash_measurements(BOOK)), BOOK)


def test_the_curve_of_flops_goes_through_the_recorded_counters(measured: list[Point]) -> None:
    """The curve is drawn at sizes of its own, the measured ones first and last: there the counters must lie on it."""
    found = [series(sweep, "matmul_flops") for sweep in sweeps(measured, ("n",), 3)]
    assert len(found) == 6
    for one in found:
        assert [size for size, _ in one.measured] == [513, 1000, 4096, 10000]
        curve = dict(one.derived)
        assert (curve[513], curve[10000]) == (one.measured[0][1], one.measured[-1][1])
        assert list(curve) == sorted(curve)


def test_the_curve_of_time_is_the_prediction(measured: list[Point]) -> None:
    one = series(next(sweeps(measured, ("n",), 3)), "time")
    flops = dict(series(one.sweep, "matmul_flops").derived)
    for size, seconds in one.derived[8:]:
        assert seconds == pytest.approx(flops[size] / CEILINGS.matmul_flops["bfloat16"] + 2e-6, rel=0.2)


def test_chunks_are_drawn_at_whole_chunks_only() -> None:
    found = points(evidence(*(measurement(case("dilated", variant={"causal": True}, n=n, k=65, s=4),
                                          memory=Memory(n, n, 1)) for n in (512, 1000, 4096))), BOOK)  # fmt: skip
    (sweep,) = sweeps(found, ("n",))
    assert all(size % 4 == 0 for size, _ in series(sweep, "matmul_flops").derived)


def test_series_are_told_apart_without_colour() -> None:
    styles = [series_style(place) for place in range(8)]
    assert len({style["marker"] for style in styles}) == len({str(style["linestyle"]) for style in styles}) == 8


def test_titles_say_what_is_common_and_labels_what_is_not(measured: list[Point]) -> None:
    found = {figure.name: figure for figure in figures(measured)}
    assert list(found) == ["flash-core-backward", "flash-core-forward"]
    figure = found["flash-core-forward"]
    assert "bfloat16" in figure.title
    assert set(figure.labels) == {
        f"causal = {mask}, d_h = {width}" for mask in ("false", "true") for width in (64, 128)
    }


def test_a_dot_is_measured_speed_over_measured_intensity(measured: list[Point]) -> None:
    (one,) = [one for one in rooflines(measured) if one.name == "roofline-bfloat16"]
    assert (one.peak, one.bandwidth) == (8e14, 3e12)
    (forward,) = [dot for dot in one.dots if dot.label == "flash forward"]
    assert forward.speed == pytest.approx(628_239_630_336 / 1e-3)
    assert forward.intensity == pytest.approx(628_239_630_336 / (4 * 2 * 12 * 10000 * 128))


def test_every_figure_is_written_twice(measured: list[Point], tmp_path: Path) -> None:
    one_pass = [point for point in measured if point.measurement.case.pass_ == "forward"]
    written = plots.write_plots(one_pass, tmp_path / "plots")
    assert [path.name for path in written if path.suffix == ".svg"] == [
        "flash-core-forward.svg", "roofline-bfloat16.svg", "roofline-float16.svg"
    ]  # fmt: skip
    for path in written:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
        else:
            assert path.read_bytes().startswith(b"\x89PNG")


def test_a_panel_is_drawn_of_what_was_measured_alone() -> None:
    """Lengths 512 to 2048 with memory alone: one panel, whatever curves there are."""
    found = points(evidence(*(measurement(case(n=n), memory=Memory(n, n, 1)) for n in (512, 1024, 2048))), BOOK)
    (figure,) = figures(found)
    assert list(plots._measured_panels(figure)) == ["peak_bytes"]


def test_what_was_not_measured_gives_no_figure(tmp_path: Path) -> None:
    found = points(evidence(*(measurement(case(n=n)) for n in (512, 1024, 2048))), BOOK)
    assert list(figures(found))
    with pytest.raises(UserError, match="nothing to draw"):
        plots.write_plots(found, tmp_path)


def test_nothing_to_draw_and_nowhere_to_write(measured: list[Point], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        plots.write_plots([], tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        plots.write_plots(measured, tmp_path / "file")
