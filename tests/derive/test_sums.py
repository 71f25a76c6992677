"""Closed-form sums against adding up one by one: random expressions, and the tiled extents that kernels have."""

from typing import Any

import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles.evaluation import evaluate

from tfcost.derive.integers.convert import NotAnInteger
from tfcost.derive.sums import NoClosedForm, canonical, sum_over

n, m, w = (sp.Symbol(name, integer=True, positive=True) for name in "nmw")
i = sp.Symbol("i", integer=True)
SIZES = {"n": n, "m": m}


def brute_force(body: sp.Expr, low: sp.Expr, high: sp.Expr, values: dict[str, int]) -> Any:
    start, stop = evaluate(low, values), evaluate(high, values)
    return sum(evaluate(body, {**values, "i": index}) for index in range(int(start), int(stop)))


def linear(coefficients: st.SearchStrategy[int], counter: bool) -> st.SearchStrategy[sp.Expr]:
    terms = [*SIZES.values(), sp.Integer(1), *([i] if counter else [])]
    return st.tuples(*[coefficients] * len(terms)).map(lambda cs: sum(c * t for c, t in zip(cs, terms, strict=True)))


COEFFICIENTS = st.sampled_from([0, 0, 1, -1, 2, -3, 7, 8, -8, 16])


def nodes(children: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda pair: sp.Min(*pair)),
        pairs.map(lambda pair: sp.Max(*pair)),
        pairs.map(lambda pair: pair[0] - 2 * pair[1]),
        st.tuples(children, st.sampled_from([2, 3, 8])).map(lambda pair: sp.floor(pair[0] / sp.Integer(pair[1]))),
        st.tuples(children, st.sampled_from([2, 4, 8])).map(lambda pair: sp.ceiling(pair[0] / sp.Integer(pair[1]))),
        st.tuples(children, st.sampled_from([2, 4])).map(lambda pair: sp.Mod(pair[0], pair[1])),
    )


EXPRESSIONS = st.recursive(linear(COEFFICIENTS, True), nodes, max_leaves=4)
BOUNDS = st.tuples(linear(COEFFICIENTS, False), st.sampled_from([1, 4, 8])).map(
    lambda pair: sp.ceiling(pair[0] / sp.Integer(pair[1]))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EXPRESSIONS, EXPRESSIONS, st.booleans(), BOUNDS, st.sampled_from([sp.Integer(0), m - n]), st.data())
def test_sum_is_exact(
    first: sp.Expr, second: sp.Expr, product: bool, high: sp.Expr, low: sp.Expr, data: st.DataObject
) -> None:
    body = first * second if product else first
    try:
        total = sum_over(body, i, low, high)
    except NoClosedForm:
        return
    for _ in range(4):
        values = {name: data.draw(st.integers(1, 24)) for name in SIZES}
        assert evaluate(total, values) == brute_force(body, low, high, values)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, st.data())
def test_canonical_form_keeps_the_value(expr: sp.Expr, data: st.DataObject) -> None:
    shorter = canonical(expr)
    for _ in range(5):
        values = {name: data.draw(st.integers(1, 60)) for name in SIZES} | {"i": data.draw(st.integers(-20, 20))}
        assert evaluate(shorter, values) == evaluate(expr, values)


@pytest.mark.parametrize(
    ("body", "high", "expected"),
    [
        (sp.Min(64, n - 64 * i), sp.ceiling(n / 64), n),
        (sp.Max(0, sp.Min(64, n - 64 * i)), m, sp.Min(n, 64 * m)),
        (sp.Max(0, sp.Min(64, n - 64 * i)), sp.ceiling(n / 32), n),
        (sp.ceiling(sp.Min(128 * (i + 1), n) / 64), sp.ceiling(n / 128),
         sp.ceiling(n / 128) ** 2 - sp.ceiling(n / 128) + sp.ceiling(n / 64)),
        (sp.Min(128 * (i + 1), n), sp.ceiling(n / 128), 64 * sp.ceiling(n / 128) ** 2 - 64 * sp.ceiling(n / 128) + n),
        (sp.floor(i / m), n * m, m * n * (n - 1) / 2),
        (sp.Mod(i, m) * sp.floor(i / m), n * m, n * (n - 1) * m * (m - 1) / 4),
        (sp.Integer(1), n - 5, sp.Max(0, n - 5)),
    ],
)  # fmt: skip
def test_tiled_extents_come_out_plain(body: sp.Expr, high: sp.Expr, expected: sp.Expr) -> None:
    assert sp.expand(sum_over(body, i, sp.Integer(0), high) - expected) == 0


def test_the_counter_may_be_declared_positive_and_still_start_at_zero() -> None:
    assert sum_over(sp.Max(1, n * w, evaluate=False), n, sp.Integer(0), sp.Integer(3)) == 3 * w + 1


def test_no_closed_form_is_an_error() -> None:
    with pytest.raises(NoClosedForm):
        sum_over(sp.Max(i**2, n), i, sp.Integer(0), m)


@pytest.mark.parametrize("expr", [sp.sqrt(n), n / m, sp.Symbol("x"), sp.sin(n)])
def test_what_is_no_integer_is_refused(expr: sp.Expr) -> None:
    with pytest.raises(NotAnInteger):
        canonical(expr)
