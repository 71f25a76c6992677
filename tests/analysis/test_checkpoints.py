"""The best spacing of checkpoints against a search through all of them."""

from math import isclose, isqrt

import pytest

from tfcost.analysis.bounds import Undecided
from tfcost.analysis.checkpoints import best_spacing
from tfcost.cost import CHECKPOINTED_ACTIVATIONS, CHECKPOINTED_PEAK, Cost
from tfcost.formula import Formula

ACTIVATIONS = "2*L*b*n*d/s + (b*n*d + 3*b*n*f)*s + Max(b*n*d, 5*d*f) - b*n*d"


def stack(activations: str, peak: str = "") -> Cost:
    """A stack of layers with this memory."""
    composition = {CHECKPOINTED_ACTIVATIONS: Formula(activations), CHECKPOINTED_PEAK: Formula(peak or activations)}
    return Cost("recompute", "torch", "stack", "train", ("bfloat16",), {}, {}, (), {}, (), (), composition=composition)


def values(L: int, n: int = 16, d: int = 8, f: int = 4) -> dict[str, int]:
    return {"L": L, "b": 2, "n": n, "d": d, "f": f}


@pytest.mark.parametrize("L", [1, 5, 36, 100, 360, 1024, 5040])
def test_the_best_divisor_is_next_to_the_least(L: int) -> None:
    """A sum of a/s and e*s falls before its least and grows after it: the best divisor is a neighbour of it."""
    best = best_spacing(stack(ACTIVATIONS), values(L))
    assert best is not None
    divisors = [s for s in range(1, L + 1) if L % s == 0]
    bytes_at = {s: Formula(ACTIVATIONS).evaluate({**values(L), "s": s}) for s in divisors}
    assert {one.spacing: one.activations for one in best.choices} == bytes_at
    winner = min(divisors, key=lambda s: bytes_at[s])
    below, above = (max((s for s in divisors if s <= best.least), default=1),
                    min((s for s in divisors if s >= best.least), default=L))  # fmt: skip
    assert winner in (below, above)


def test_the_least_grows_as_the_square_root_of_the_layers() -> None:
    """The coefficients of 1/s and s are as 2*L*d to d + 3*f: L*16/20 at d = 8, f = 4."""
    for L in (5, 80, 500):
        best = best_spacing(stack(ACTIVATIONS), values(L))
        assert best is not None
        assert isclose(best.least**2, L * 16 / 20)
        assert best.squared.evaluate(values(L)) * 5 == L * 4
        classes = (best.spacing_class, best.segments_class, best.activations_class)
        assert [one.text for one in classes] == ["L**(1/2)"] * 3
    # s = 1 from 20/16 layers on.
    assert best.above_one_from == 2


def test_the_class_is_that_of_a_search() -> None:
    """The least over all s, divisor or not, of a hundred times as many layers is ten times as much."""

    def least(L: int) -> float:
        formula = Formula("100*L/s + s")
        return min(float(formula.evaluate({"L": L, "s": s})) for s in range(1, 4 * isqrt(100 * L)))

    best = best_spacing(stack("100*L/s + s"), {"L": 4})
    assert best is not None
    assert least(400) == 10 * least(4)
    assert best.activations_class.evaluate({"L": 10_000}) == 100


def test_the_peak_is_looked_at_for_every_choice() -> None:
    best = best_spacing(stack(ACTIVATIONS, peak="1000*L + 7*s"), values(6))
    assert best is not None
    assert [(one.spacing, one.segments, one.peak) for one in best.choices] == [
        (1, 6, 6007), (2, 3, 6014), (3, 2, 6021), (6, 1, 6042)
    ]  # fmt: skip


def test_other_costs_have_no_spacing() -> None:
    assert best_spacing(Cost("a", "torch", "core", "forward", (), {}, {}, (), {}, (), ()), {"L": 4}) is None


@pytest.mark.parametrize(
    "activations", ["L*n/s", "L*n/s + n*s**2", "L*n/s + n*s + L", "L*n/s - n*s", "L*n/s + Max(s, n)"]
)
def test_memory_of_another_shape_is_not_decided(activations: str) -> None:
    with pytest.raises(Undecided, match="no sum of a part that falls with s"):
        best_spacing(stack(activations), {"L": 4, "n": 3})
