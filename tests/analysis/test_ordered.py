"""Min and Max decided by an order of sizes: wherever the orders hold the formula is the same, brute force says."""

from itertools import product

import pytest

from tfcost.analysis.conditions import conditions
from tfcost.analysis.ordered import decided_by_order, order_of
from tfcost.errors import UserError
from tfcost.formula import Formula

SIZES = {"n": 100, "k": 5, "s": 4, "g": 3, "w": 20, "d": 7}


@pytest.mark.parametrize(
    ("low", "high", "orders"),
    [
        ("k/128", "n/(128*s)", ["k*s <= n"]),
        ("g/128 + w/128", "n/128", ["g + w <= n"]),
        ("6*k*n", "4*n*w", ["3*k <= 2*w"]),
        ("k*s", "n + s", ["k*s <= n"]),
        ("k*s - s", "n", ["k*s <= n"]),
        ("n**(1/2)", "n", ["1 <= n**(1/2)"]),
        ("n", "n + d", []),
    ],
)
def test_orders_are_told_without_denominators(low: str, high: str, orders: list[str]) -> None:
    assert order_of(Formula(low).tree, Formula(high).tree, SIZES) == orders


def test_a_sum_of_which_no_term_is_enough() -> None:
    with pytest.raises(UserError, match="no single term"):
        order_of(Formula("n").tree, Formula("90 + 5*w - k").tree, {**SIZES, "n": 110})


@pytest.mark.parametrize(
    ("formula", "orders"),
    [
        ("n*Min(k/2, n/(2*s)) + Max(w, g + k)", ("k*s <= n", "g + k <= w")),
        ("Max(Min(n, w + g), k*Min(g, s))", ("g + w <= n", "g <= s", "g*k <= w")),
        ("3*n + ceiling(k/2)", ()),
    ],
)
def test_wherever_the_orders_hold_the_formula_is_the_same(formula: str, orders: tuple[str, ...]) -> None:
    decided, found = decided_by_order(Formula(formula), SIZES)
    assert found == orders
    assert "M" not in decided.text
    points = [dict(zip("nksgw", point, strict=True)) for point in product((1, 2, 3, 5, 9), repeat=5)]
    ordered = [at for at in points if all(condition.holds(at) for condition in conditions(found))]
    assert len(ordered) > 50
    assert all(decided.evaluate(at) == Formula(formula).evaluate(at) for at in ordered)
