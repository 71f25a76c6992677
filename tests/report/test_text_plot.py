"""Plots in characters: within their width, straight where the law is a power, told apart by letters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcost.report.page import Curve, Plot
from tfcost.report.text_plot import plot_lines


def power(name: str, exponent: float, factor: float = 1.0) -> Curve:
    return Curve(name, tuple((float(2**i), factor * 2.0 ** (i * exponent)) for i in range(8)))


def plot(*curves: Curve, marks: tuple[tuple[float, float], ...] = ()) -> Plot:
    return Plot("title", "n", "FLOP", curves, marks)


def test_a_square_law_rises_twice_as_fast_as_a_linear_one() -> None:
    """On the same axes, the linear one ends half as high."""
    lines = plot_lines(plot(power("quick", 2), power("slow", 1)), 60, ascii_only=True)
    area = [line.split("|", 1)[1] for line in lines if "|" in line]
    ends = [row for row, line in enumerate(area) if len(line) == max(map(len, area))]
    assert ends[0] == 0
    assert ends[-1] == len(area) // 2


def test_the_axes_are_named_with_their_ends() -> None:
    lines = plot_lines(plot(power("one", 2)), 60, ascii_only=False)
    assert lines[0].startswith("16.38 kFLOP │")
    assert any(line.startswith("     1 FLOP │") for line in lines)
    axis = lines[-2].split()
    assert axis == ["1", "n", "128"]
    assert lines[-1] == "A one"


def test_every_curve_shows_its_letter_and_a_crossing_its_cross() -> None:
    curves = plot(power("a", 2, 0.01), power("b", 1), marks=((100.0, 100.0),))
    text = "\n".join(plot_lines(curves, 60, ascii_only=True)[:-1])
    assert all(sign in text for sign in "ABX")


def test_curves_that_lie_on_each_other_both_show() -> None:
    text = "\n".join(plot_lines(plot(power("a", 1), power("b", 1)), 60, ascii_only=True)[:-1])
    assert "A" in text
    assert "B" in text


@given(
    st.lists(st.tuples(st.floats(1, 1e12), st.floats(1e-12, 1e30)), min_size=1, max_size=6),
    st.integers(0, 120),
    st.booleans(),
)
def test_it_stays_within_its_width_whatever_the_points(
    points: list[tuple[float, float]], width: int, ascii_only: bool
) -> None:
    lines = plot_lines(plot(Curve("a", tuple(sorted(points)))), width, ascii_only)
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("width", [0, 10, 30])
def test_a_narrow_terminal_gets_none(width: int) -> None:
    assert plot_lines(plot(power("one", 2)), width, ascii_only=False) == []


def test_a_single_point_gives_none() -> None:
    assert plot_lines(plot(Curve("a", ((1.0, 1.0),))), 80, ascii_only=False) == []


def test_equal_values_are_a_level_line() -> None:
    lines = plot_lines(plot(Curve("a", ((1.0, 5.0), (100.0, 5.0)))), 60, ascii_only=True)
    assert len([line for line in lines if "..." in line]) == 1
