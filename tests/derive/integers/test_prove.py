"""The prover never claims what is false, and knows what kernels need: tiles cover, last tiles are started."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcost.derive.integers.division import ceil_div, floor_div, remainder, truncated_div
from tfcost.derive.integers.lattice import clamp, maximum, minimum
from tfcost.derive.integers.poly import Poly, Var
from tfcost.derive.integers.prove import is_nonnegative, is_positive
from tfcost.derive.integers.rewrite import rewrite

n, w = Var("n", 1), Var("w", 1)
N, W = Poly.of(n), Poly.of(w)
tile = Var("tile", 0, ceil_div(N, 16) - 1, 1)
TILE = Poly.of(tile)
lane = Var("lane", 0, 15, 2)
LANE = Poly.of(lane)


@pytest.mark.parametrize(
    "claim",
    [
        ceil_div(N, 16) * 16 - N,
        N + 15 - ceil_div(N, 16) * 16,
        N - 1 - TILE * 16,
        ceil_div(N, 16) - 2 * ceil_div(N, 32) + 1,
        2 * ceil_div(N, 32) - ceil_div(N, 16),
        floor_div(N, 8) - 2 * floor_div(N, 16),
        maximum(0, N - W) - N + W,
        W - minimum(N, W),
        15 - remainder(N + LANE, 16),
        N * W - 1,
    ],
)
def test_what_must_be_proven(claim: Poly) -> None:
    assert is_nonnegative(claim)


@pytest.mark.parametrize("claim", [N - W, N - 2, N - TILE * 16 - 16, floor_div(N, 16) - 1, minimum(N, W) - 2])
def test_what_must_not_be_proven(claim: Poly) -> None:
    assert not is_nonnegative(claim)


def test_lane_numbers_vanish_inside_their_tile() -> None:
    assert floor_div(TILE * 16 + LANE, 16) == TILE
    assert remainder(TILE * 16 + LANE, 16) == LANE
    assert floor_div(LANE, 16) == Poly({})
    assert is_positive(LANE + 1)


def _leaf(numbers: tuple[int, ...]) -> Poly:
    return numbers[0] * N + numbers[1] * W + numbers[2] * LANE + numbers[3]


LEAVES = st.tuples(*[st.integers(-4, 4)] * 3, st.integers(-20, 20)).map(_leaf)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: minimum(*pair)),
        st.tuples(inner, inner).map(lambda pair: maximum(*pair)),
        st.tuples(inner, inner).map(lambda pair: pair[0] - pair[1]),
        st.tuples(inner, st.sampled_from([2, 3, 16])).map(lambda pair: floor_div(*pair)),
        inner.map(lambda value: clamp(value, 0, 16)),
    ),
    max_leaves=4,
)
POINTS = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 15))


def value_at(poly: Poly, point: tuple[int, int, int]) -> object:
    replaced = rewrite(poly, {var: Poly({(): value}) for var, value in zip((n, w, lane), point, strict=True)})
    assert replaced.is_constant
    return replaced.constant


@settings(max_examples=150, deadline=None)
@given(TREES, st.lists(POINTS, min_size=8, max_size=8))
def test_what_is_proven_is_true(poly: Poly, points: list[tuple[int, int, int]]) -> None:
    if is_nonnegative(poly):
        assert all(value_at(poly, point) >= 0 for point in points)


@given(st.integers(-50, 50), st.integers(1, 9))
def test_truncated_division_rounds_towards_zero(left: int, right: int) -> None:
    symbolic = truncated_div(N - 60, Poly({(): right}))
    assert value_at(symbolic, (left + 60, 1, 0)) == int(left / right)
