"""Shown formulas equal the exact ones wherever they say they hold; classes are those of the source document."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcost.analysis.conditions import conditions
from tfcost.analysis.query import fill_sizes
from tfcost.analysis.shown import class_of, is_tangled, shown_form
from tfcost.formula import Formula

SMALL = st.integers(min_value=1, max_value=9)
TILED = Formula("2097152*b*h*ceiling(m/64)*ceiling(n/128)")
PEAK = Formula("Max(4*b*h*n**2 + 8*b*h*n*d_h, 16*b*h*n*d_h + 2*d**2)")


@pytest.mark.parametrize(
    ("formula", "given", "fixed", "shown", "theta"),
    [
        ("4*b*h*n*m*d_h", {}, {}, "4*b*d*n**2", "n**2*d"),
        ("4*b*h*n*m*d_h", {"m": 7}, {}, "4*b*d*m*n", "n*m*d"),
        ("2*b*h*n*d*d_h + 2*b*h_kv*n*d*d_h", {}, {}, "4*b*d**2*n", "n*d**2"),
        ("2*b*h_kv*n*d*d_h", {"h_kv": 4}, {}, "2*b*d*d_h*h_kv*n", "h_kv*n*d**2/h"),
        ("4*b*n*d*f", {}, {}, "4*b*d*f*n", "n*d**2"),
        (TILED.text, {}, {"d_h": 64}, "4*b*d*n**2", "n**2*d"),
        ("195*b*h*n**2/32", {}, {"d_h": 64}, "195*b*h*n**2/32", "n**2*d"),
        ("4*b*c*h*n*d_h", {"c": 64}, {}, "4*b*c*d*n", "c*n*d"),
    ],
)
def test_formulas_are_written_as_the_source_document_would(
    formula: str, given: dict[str, int], fixed: dict[str, int], shown: str, theta: str
) -> None:
    values = fill_sizes(given)
    assert shown_form(Formula(formula), values, fixed).formula.text == shown
    found = class_of(Formula(formula), values, fixed)
    assert found is not None
    assert found.text == theta


@given(tiles=SMALL, b=SMALL, h=SMALL)
def test_a_tiled_formula_holds_at_whole_tiles(tiles: int, b: int, h: int) -> None:
    values = fill_sizes({"n": 128 * tiles, "b": b, "h": h})
    shown = shown_form(TILED, values, {"d_h": 64})
    assert shown.regime == "n a multiple of 128"
    assert shown.formula.evaluate(values) == TILED.evaluate(values)


@given(n=st.integers(min_value=1, max_value=4000), h=SMALL, width=st.sampled_from([16, 64]))
def test_the_part_of_a_maximum_that_holds_is_shown(n: int, h: int, width: int) -> None:
    values = fill_sizes({"n": n, "h": h, "d_h": width})
    shown = shown_form(PEAK, values, {})
    assert "Max" not in shown.formula.text
    assert shown.formula.evaluate(values) == PEAK.evaluate(values)


def test_a_class_that_rounding_leaves_open_is_that_of_whole_tiles() -> None:
    formula = Formula("2*h*n*ceiling(n/64)*ceiling(n/128) - 2*h*n*floor(n/64)*ceiling(n/128) + h*n*ceiling(n/128)")
    found = class_of(formula, fill_sizes({}), {})
    assert found is not None
    assert (found.text, found.regime) == ("h*n**2", "n a multiple of 128")


DILATED = "4*k*n*d - 256*d*k*s*Min(k/128, n/(128*s))"
BOTH = "d*n*Min(ceiling(g/64) + ceiling(w/64), ceiling(n/64)) - d*n*ceiling(g/64)"


@pytest.mark.parametrize(
    ("formula", "sizes", "text", "regime"),
    [
        (DILATED, {"k": 128, "s": 4}, "k*n*d", "k*s <= n"),
        (DILATED, {"k": 1280, "s": 40}, "k*n*d", "n <= k*s"),
        ("d*n*Min(n, g + w) - d*n*g/2", {"g": 1, "w": 512}, "n*w*d + n*g*d", "g + w <= n"),
        (BOTH, {"g": 64, "w": 512}, "n*w*d", "g + w <= n, whole tiles"),
    ],
)
def test_a_class_that_an_order_of_sizes_decides_says_so(
    formula: str, sizes: dict[str, int], text: str, regime: str
) -> None:
    values = fill_sizes(sizes)
    found = class_of(Formula(formula), values, {})
    assert found is not None
    assert (found.text, found.regime) == (text, regime)
    # At whole tiles so ordered the quotient stays between constants, whatever the sizes.
    draw = random.Random(0)
    sampled = [values | {name: 64 * 4 ** draw.randrange(9) for name in "ndwgks"} for _ in range(2000)]
    ordered = [
        at for at in sampled if all(condition.holds(at) for condition in conditions([regime.partition(", ")[0]]))
    ]
    assert len(ordered) > 100
    quotients = [Fraction(Formula(formula).evaluate(at)) / found.formula.evaluate(at) for at in ordered]
    assert 0 < min(quotients) <= max(quotients) < 1000 * min(quotients)


def test_an_order_that_does_not_decide_leaves_the_class_open() -> None:
    """At k*s = n nothing is left."""
    assert class_of(Formula("4*k*n*d - 512*d*k*s*Min(k/128, n/(128*s))"), fill_sizes({"k": 128, "s": 4}), {}) is None


def test_where_a_class_is_asked_for() -> None:
    formula, values = Formula("n*d + d**2"), fill_sizes({})
    classes = [class_of(formula, values, {}, where) for where in ("", "n >= d")]
    assert [found and found.text for found in classes] == ["n*d + d**2", "n*d"]


def test_tangled_formulas_are_those_with_many_roundings() -> None:
    assert not is_tangled(TILED)
    assert is_tangled(Formula(" + ".join(f"ceiling(n/{i})" for i in range(2, 14))))
