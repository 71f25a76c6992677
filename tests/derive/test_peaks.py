"""Peak memory over a sampled size against programs whose live memory is counted step by step at each value."""

from collections.abc import Callable

import pytest
import sympy as sp
from oracles.evaluation import evaluate

from tfcost.derive.errors import DerivationError
from tfcost.derive.interpolate import sample_points
from tfcost.derive.memory import undominated
from tfcost.derive.peaks import Peaks, interpolate_peaks
from tfcost.derive.sizes import size_symbol

n, m, d = (size_symbol(name) for name in "nmd")
Levels = Callable[..., list[sp.Expr]]


def sampled(names: str, levels: Levels) -> Peaks:
    """What `interpolate_peaks` makes of the live memory `levels(*values)` of a program at the sample points."""
    points = [tuple(point.values()) for point in sample_points(list(names))]
    return interpolate_peaks(list(names), {point: undominated(levels(*point)) for point in points})


def check(names: str, levels: Levels, far: list[tuple[int, ...]]) -> Peaks:
    """Beyond the samples, too, the candidates give the largest level, whatever the other sizes are."""
    found = sampled(names, levels)
    for values in far:
        for width in (1, 2, 3, 10, 100, 5000):
            sizes = {**dict(zip(names, values, strict=True)), "d": width}
            largest = max(evaluate(sp.sympify(level), sizes) for level in levels(*values))
            assert max(evaluate(candidate, sizes) for candidate in found.candidates) == largest, sizes
    return found


def test_memory_that_a_loop_does_not_keep() -> None:
    found = check("n", lambda n: [d + 2 * d for _ in range(n)], [(2,), (30,)])
    assert found.candidates == (3 * d,)
    assert found.holds_from == {"n": 2}


def test_memory_that_a_loop_keeps() -> None:
    check("n", lambda n: [d * step + 7 for step in range(n + 1)], [(2,), (9,), (200,)])


def test_memory_that_grows_with_the_square() -> None:
    def levels(n: int) -> list[sp.Expr]:
        found, total = [], sp.Integer(0)
        for i in range(n):
            for _ in range(i):
                total += d
                found.append(total)
        return found

    check("n", levels, [(2,), (20,)])


def test_which_step_is_largest_depends_on_the_other_size() -> None:
    found = check("n", lambda n: [n * d + 1, sp.Integer(100 * n), d + 2], [(2,), (11,), (64,)])
    assert set(found.candidates) == {n * d + 1, 100 * n}


def test_candidates_that_vanish_on_the_way_hold_from_a_value_on() -> None:
    """With few steps the end of the program is the largest, with more of them the loop."""
    found = check("n", lambda n: [sp.Integer(4) * d, n * d], [(4,), (5,), (6,), (40,)])
    assert found.holds_from == {"n": 4}
    assert found.candidates == (n * d,)


def test_two_sizes() -> None:
    found = check(
        "nm", lambda n, m: [n * d + m * d, sp.Integer(9 * n * m), d + m], [(2, 2), (3, 40), (40, 3), (25, 25)]
    )
    assert found.holds_from.keys() == {"n", "m"}


def test_no_sampled_size() -> None:
    assert interpolate_peaks([], {(): (d, 2 * d, d**2)}).candidates == undominated([2 * d, d**2])


@pytest.mark.parametrize(
    "levels",
    [
        lambda n: [d * n**3],
        lambda n: [d * 2**n],
        lambda n: [d * (n % 3)],
        lambda n: [d * (n // 2)],
        lambda n: [d if n < 7 else 3 * d],
        lambda n: [d * n if n % 2 else d],
        # The end of the program is largest for some d at n <= 4: too few values remain to confirm the rest.
        lambda n: [n * d + 1, sp.Integer(100 * n), d + 5],
    ],
)
def test_no_polynomials(levels: Levels) -> None:
    with pytest.raises(DerivationError, match=r"peak memory follows no polynomials in n, as traces at n = 2 to 7 show"):
        sampled("n", levels)
