"""Pair counts of masks against going through all pairs."""

from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.evaluation import evaluate

from tfcost.derive.errors import DerivationError
from tfcost.derive.pairs import count_pairs
from tfcost.derive.sizes import size_symbol
from tfcost.techniques import masks

Predicate = Callable[[Any, Any, Any, Any], Any]
n, m, w = (size_symbol(name) for name in "nmw")
GRID = [(rows, columns) for rows in (1, 2, 3, 7, 12) for columns in (1, 2, 5, 12, 13)]


def count_one_by_one(predicate: Predicate, rows: int, columns: int) -> int:
    return sum(bool(predicate(i, j, rows, columns)) for i in range(rows) for j in range(columns))


def check(predicate: Predicate, sizes: list[tuple[int, int]]) -> None:
    counted = count_pairs(predicate, n, m)
    for rows, columns in sizes:
        pairs = count_one_by_one(predicate, rows, columns)
        assert evaluate(counted, {"n": rows, "m": columns}) == pairs, (rows, columns)


def both(*relations: Any) -> Any:
    """The relations together, on symbols as on numbers."""
    return sp.And(*relations) if any(isinstance(r, sp.Basic) for r in relations) else all(relations)


def either(*relations: Any) -> Any:
    return sp.Or(*relations) if any(isinstance(r, sp.Basic) for r in relations) else any(relations)


def divides(step: Any, difference: Any) -> Any:
    return difference % step == 0 if isinstance(difference, int) else sp.Eq(sp.Mod(difference, step), 0)


@pytest.mark.parametrize(
    "predicate",
    [
        masks.causal,
        lambda i, j, n, m: True,
        lambda i, j, n, m: False,
        lambda i, j, n, m: both(j > i, j <= i),
        lambda i, j, n, m: j <= i,
        lambda i, j, n, m: j < i,
        lambda i, j, n, m: i >= j,
        lambda i, j, n, m: i > j,
        lambda i, j, n, m: j >= i + 3,
        lambda i, j, n, m: j > 4,
        lambda i, j, n, m: j <= n - 1 - i,
        lambda i, j, n, m: j - 2 * i >= -1,
        lambda i, j, n, m: -j <= i - m,
        lambda i, j, n, m: j < -1,
        lambda i, j, n, m: i <= n - 2,
        lambda i, j, n, m: i >= 2,
    ],
)
def test_one_bound(predicate: Predicate) -> None:
    check(predicate, GRID)


@settings(max_examples=20, deadline=None)
@given(st.integers(-6, 6), st.integers(-6, 6), st.booleans(), st.booleans())
def test_bands(low: int, high: int, strict: bool, from_the_end: bool) -> None:
    def band(i: Any, j: Any, n: Any, m: Any) -> Any:
        middle = i + (m - n if from_the_end else 0)
        return both(j > middle + low if strict else j >= middle + low, j <= middle + high)

    check(band, [(1, 1), (1, 9), (9, 1), (5, 8), (8, 5), (12, 12)])


def test_a_window_whose_width_is_a_size() -> None:
    counted = count_pairs(lambda i, j, n, m: both(j >= i - w, j <= i), n, n)
    for rows in (1, 2, 5, 11):
        for width in (1, 2, 4, 10, 11, 30):
            expected = sum(min(i, width) + 1 for i in range(rows))
            assert evaluate(counted, {"n": rows, "w": width}) == expected, (rows, width)


@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("tokens", [1, 3, 20])
def test_a_window_and_global_tokens(width: int, tokens: int) -> None:
    """Alternatives overlap: a pair that two of them allow counts once."""

    def mask(i: Any, j: Any, n: Any, m: Any) -> Any:
        return either(both(j >= i - width, j <= i + width), i < tokens, j < tokens)

    check(mask, [(1, 1), (4, 4), (9, 9), (30, 30), (5, 12), (12, 5)])


@pytest.mark.parametrize("step", [1, 2, 7])
def test_every_stepth_key(step: int) -> None:
    check(lambda i, j, n, m: both(divides(step, i - j), j <= i), GRID)
    check(lambda i, j, n, m: both(divides(step, j - i), j >= i - 9, j <= i + 9), [(1, 1), (5, 40), (23, 23)])


def test_near_keys_or_every_stepth() -> None:
    def mask(i: Any, j: Any, n: Any, m: Any) -> Any:
        return either(both(j <= i, j >= i - 2), both(j <= i, divides(4, i - j)))

    check(mask, [(1, 1), (3, 3), (25, 25)])


@pytest.mark.parametrize(
    "predicate",
    [
        lambda i, j, n, m: sp.Eq(j, i),
        lambda i, j, n, m: sp.Ne(j, i),
        lambda i, j, n, m: 2 * j <= i,
        lambda i, j, n, m: j**2 <= i,
        lambda i, j, n, m: i * j <= n,
        lambda i, j, n, m: j,
        lambda i, j, n, m: n <= 4,
        lambda i, j, n, m: both(divides(2, i - j), divides(3, i - j)),
        lambda i, j, n, m: divides(2, i - 2 * j),
    ],
)
def test_anything_else_is_refused(predicate: Predicate) -> None:
    with pytest.raises(DerivationError, match="a mask predicate m"):
        count_pairs(predicate, n, m)
