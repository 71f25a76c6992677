"""Derived pair counts of every mask against going through all pairs, for every n up to 40 and all their sizes."""

from collections.abc import Callable
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcost.derive.pairs import count_pairs
from tfcost.derive.sizes import size_symbol
from tfcost.formula import Formula
from tfcost.techniques import masks

N = 40
# Every size from its least value to beyond n; where there are two, in steps that stay off each other's multiples.
SIZES: dict[Callable[..., Any], dict[str, range]] = {
    masks.causal: {},
    masks.window: {"w": range(N + 2)},
    masks.causal_window: {"w": range(N + 2)},
    masks.block: {"c": range(1, N + 2)},
    masks.causal_block: {"c": range(1, N + 2)},
    masks.dilated: {"w": range(0, N + 2, 3), "s": range(1, N + 2, 2)},
    masks.causal_dilated: {"w": range(0, N + 2, 3), "s": range(1, N + 2, 2)},
    masks.strided: {"s": range(1, N + 2)},
    masks.causal_strided: {"s": range(1, N + 2)},
    masks.longformer: {"w": range(0, N + 2, 3), "g": range(0, N + 2, 4)},
    masks.causal_longformer: {"w": range(0, N + 2, 3), "g": range(0, N + 2, 4)},
}
CASES = pytest.mark.parametrize("mask", SIZES, ids=lambda mask: mask.__name__)


@cache
def derived_count(mask: Callable[..., Any]) -> Formula:
    sizes = {name: size_symbol(name) for name in SIZES[mask]}
    return Formula.of(count_pairs(partial(mask, **sizes), size_symbol("n"), size_symbol("n")))


def allowed(mask: Callable[..., Any], n: int, sizes: dict[str, int]) -> int:
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    return int(np.broadcast_to(mask(i, j, n, n, **sizes), (n, n)).sum())


@CASES
def test_every_size(mask: Callable[..., Any]) -> None:
    formula = derived_count(mask)
    for n, *values in product(range(1, N + 1), *SIZES[mask].values()):
        sizes = dict(zip(SIZES[mask], values, strict=True))
        assert formula.evaluate({"n": n, **sizes}) == allowed(mask, n, sizes), (n, sizes)


@CASES
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_larger_sizes(mask: Callable[..., Any], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 700))
    sizes = {name: data.draw(st.integers(values.start, n + 3)) for name, values in SIZES[mask].items()}
    assert derived_count(mask).evaluate({"n": n, **sizes}) == allowed(mask, n, sizes)


@pytest.mark.parametrize("mask", [masks.causal, masks.window, masks.causal_window], ids=lambda mask: mask.__name__)
def test_more_and_fewer_keys_than_queries(mask: Callable[..., Any]) -> None:
    own = {name: size_symbol(name) for name in SIZES[mask]}
    formula = Formula.of(count_pairs(partial(mask, **own), size_symbol("n"), size_symbol("m")))
    for n, m, w in product(range(1, 14), range(1, 14), range(0, 15, 2)):
        sizes = dict.fromkeys(own, w)
        i, j = np.arange(n)[:, None], np.arange(m)[None, :]
        brute = int(np.broadcast_to(mask(i, j, n, m, **sizes), (n, m)).sum())
        assert formula.evaluate({"n": n, "m": m, **sizes}) == brute, (n, m, w)
