"""Sweeps drawn into files: every point and crossing is there, the same picture every time, refused files."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tfcost.errors import UserError
from tfcost.report import sweep_plot
from tfcost.report.page import Curve, Plot

CURVES = (Curve("one", ((1.0, 1.0), (2.0, 4.0), (4.0, 16.0))), Curve("two", ((1.0, 2.0), (2.0, 4.0), (4.0, 8.0))))
PLOTS = [Plot("FLOPs", "n", "FLOP", CURVES, ((2.0, 4.0),)), Plot("memory", "n", "B", CURVES[:1])]


def test_a_panel_holds_every_point_and_every_crossing() -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots()
    sweep_plot._panel(axis, PLOTS[0], ["one", "two"])
    lines = [list(map(tuple, line.get_xydata())) for line in axis.get_lines()]
    assert [tuple(curve.points) for curve in CURVES] == [tuple(line) for line in lines[:2]]
    assert lines[2:] == [[(2.0, 4.0)]]
    assert [text.get_text() for text in axis.texts] == ["n = 2"]
    assert axis.get_xscale() == axis.get_yscale() == "log"
    styles = {(line.get_linestyle(), line.get_marker()) for line in axis.get_lines()}
    assert len(styles) == 3
    plt.close(figure)


@pytest.mark.parametrize(("unit", "most"), [("FLOP", 9.0), ("s", 1e-3), ("B", 1.6 * 2**30), ("B", 2.0**50), ("s", 1e4)])
@pytest.mark.parametrize("span", [1.5, 4, 50, 1e6])
def test_every_axis_has_labels(unit: str, most: float, span: float) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots()
    curve = Curve("one", ((1.0, most / span), (64.0, most)))
    sweep_plot._panel(axis, Plot("", "n", unit, (curve,)), ["one"])
    figure.canvas.draw()
    low, high = axis.get_ylim()
    shown = [text.get_text() for text in axis.get_yticklabels() if low <= text.get_position()[1] <= high]
    assert len(shown) >= 2
    assert all(text.endswith(unit) for text in shown)
    assert not any(text.startswith(("1000", "1024")) for text in shown if not text.endswith(" s"))
    plt.close(figure)


def test_files_are_written_whole_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.svg", "a.pdf", "a.png"):
        sweep_plot.write_plot(PLOTS, tmp_path / name, "one vs two")
        first = (tmp_path / name).read_bytes()
        sweep_plot.write_plot(PLOTS, tmp_path / name, "one vs two")
        assert (tmp_path / name).read_bytes() == first
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.jpg", "must end in .svg, .png, .pdf"),
        ("a", "must end in"),
        ("no/a.svg", "no such folder"),
        ("d.svg", "folder"),
    ],
)
def test_refused_files(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "d.svg").mkdir()
    with pytest.raises(UserError, match=reason):
        sweep_plot.write_plot(PLOTS, tmp_path / name, "")


def test_a_device_that_takes_nothing_is_told() -> None:
    with pytest.raises(UserError, match="cannot write"):
        sweep_plot.write_plot(PLOTS, Path("/proc/a.svg"), "")


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        sweep_plot.write_plot([Plot("empty", "n", "B", ())], tmp_path / "a.svg", "")
