"""Interpolation against the polynomials that the samples were taken from."""

from fractions import Fraction
from itertools import product

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.evaluation import evaluate

from tfcost.derive.errors import DerivationError
from tfcost.derive.interpolate import DEGREE, HOLD_OUT, at, interpolate, polynomial, sample_points
from tfcost.derive.sizes import size_symbol

n, m, d = (size_symbol(name) for name in "nmd")
RATIONALS = st.fractions(min_value=-20, max_value=20, max_denominator=12)


def table(names: str, expression: sp.Expr) -> dict[tuple[int, ...], sp.Expr]:
    """The expression at every sample point of `names`, worked out by putting numbers in."""
    symbols = [size_symbol(name) for name in names]
    return {tuple(point.values()): expression.subs(dict(zip(symbols, point.values(), strict=True)))
            for point in sample_points(list(names))}  # fmt: skip


def test_the_points_are_a_full_grid_with_points_to_spare() -> None:
    points = sample_points(["n", "m"])
    assert len(points) == (DEGREE + 1 + HOLD_OUT) ** 2
    assert len({tuple(point.items()) for point in points}) == len(points)
    assert min(point["n"] for point in points) == 2


@settings(max_examples=25, deadline=None)
@given(st.lists(RATIONALS, min_size=1, max_size=DEGREE + 1))
def test_coefficients_come_back_exactly(coefficients: list[Fraction]) -> None:
    expected = sum((sp.Rational(c.numerator, c.denominator) * d * n**power for power, c in enumerate(coefficients)),
                   sp.Integer(0))  # fmt: skip
    assert sp.expand(interpolate(["n"], table("n", expected)) - expected) == 0


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=16, max_size=16))
def test_two_sizes_at_once(coefficients: list[int]) -> None:
    powers = product(range(DEGREE + 1), repeat=2)
    expected = sum((c * n**i * m**j for c, (i, j) in zip(coefficients, powers, strict=True)), sp.Integer(0))
    assert sp.expand(interpolate(["n", "m"], table("nm", expected)) - expected) == 0


def test_other_sizes_stay_symbols_in_any_form() -> None:
    expected = sp.ceiling(d / 64) * n**2 / 2 + sp.ceiling(d / 64) * n / 2 + sp.Min(d, 8)
    found = interpolate(["n"], table("n", expected))
    for values in ({"n": 40, "d": 1}, {"n": 3, "d": 100}):
        assert evaluate(found, values) == evaluate(expected, values)


@pytest.mark.parametrize(
    "expression", [n**4, 2**n, sp.Mod(n, 2), sp.floor(n / 2), sp.Max(n, 5) * d, sp.Min(n, 6), sp.Max(0, n - 6)]
)
def test_what_is_no_polynomial_is_refused(expression: sp.Expr) -> None:
    with pytest.raises(DerivationError, match=r"no polynomial of degree 3 in n, as traces at n = 2 to 7 show"):
        interpolate(["n"], table("n", expression))


def test_a_difference_in_the_inner_size_is_found_too() -> None:
    samples = table("nm", n * m)
    samples[(7, 7)] += 1
    with pytest.raises(DerivationError):
        interpolate(["n", "m"], samples)


def test_nothing_to_interpolate() -> None:
    assert interpolate([], {(): 2 * (d + 1)}) == 2 * d + 2


def test_through_points_of_any_spacing() -> None:
    assert polynomial("n", {1: d, 10: 10 * d, 4: 4 * d}) == d * n
    assert polynomial("n", {3: sp.Integer(9), 5: sp.Integer(25), 9: sp.Integer(81)}) == n**2
    assert polynomial("n", {3: d}) == d


def test_a_value_in_place_of_a_size() -> None:
    assert at(n**2 * d + n, "n", 3) == 9 * d + 3
    assert at(d, "n", 3) == d
