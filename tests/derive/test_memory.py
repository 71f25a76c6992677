"""Peak memory: which candidates can be the largest, against trying sizes; what is alive, against what is held."""

import gc
from collections.abc import Callable
from itertools import product

import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.evaluation import evaluate

from tfcost.cost import Cost
from tfcost.derive.costs import derive_variant
from tfcost.derive.memory import Memory, undominated
from tfcost.derive.sizes import ELEMENT, Sizes, size_symbol
from tfcost.derive.subject import Subject, Tensor
from tfcost.derive.technique import Technique, Variant

n, d = size_symbol("n"), size_symbol("d")
MONOMIALS = [n**2, n * d, d**2, n, d, sp.Integer(1)]
EXPRESSIONS = st.lists(st.integers(-3, 9), min_size=6, max_size=6).map(
    lambda counts: sum((c * x for c, x in zip(counts, MONOMIALS, strict=True)), sp.Integer(0))
)
SIZES = [{"n": a, "d": b} for a, b in product((1, 2, 3, 7, 50, 4000), repeat=2)]


@settings(max_examples=40, deadline=None)
@given(st.lists(EXPRESSIONS, min_size=1, max_size=5))
def test_the_largest_is_never_dropped(candidates: list[sp.Expr]) -> None:
    kept = undominated(candidates)
    assert set(kept) <= {sp.expand(candidate) for candidate in candidates}
    for sizes in SIZES:
        assert max(evaluate(c, sizes) for c in kept) == max(evaluate(c, sizes) for c in candidates)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([n, n], {n}),
        ([n, n + 1, 2 * n], {2 * n}),
        ([n * d, n], {n * d}),
        ([n * d, n + d], {n * d, n + d}),
        ([n * d + 1, n + d], {n * d + 1}),
        ([n**2, n * d], {n**2, n * d}),
        ([n**2 - n, sp.Integer(0)], {n**2 - n}),
        ([sp.ceiling(n / 64) * 4, sp.Integer(4)], {sp.ceiling(n / 64) * 4}),
        ([2 * (n + d), 2 * n], {2 * n + 2 * d}),
    ],
)
def test_dominance(candidates: list[sp.Expr], expected: set[sp.Expr]) -> None:
    assert set(undominated(candidates)) == expected


def test_the_order_does_not_depend_on_who_came_first() -> None:
    candidates = [n**2, n * d, d**2, 7 * n]
    assert undominated(candidates) == undominated(reversed(candidates))
    assert undominated([]) == ()


@pytest.fixture
def sizes() -> Sizes:
    return Sizes(("n", "d"), torch.float32)


def test_a_storage_counts_once_and_as_long_as_it_is_held(sizes: Sizes) -> None:
    memory = Memory(sizes)
    with sizes.mode:
        x = torch.empty(sizes["n"], sizes["d"])
        assert memory.track(x)
        view = x.t()
        assert not memory.track(view)
        assert memory.knows(view)
        assert memory.serial(view) == memory.serial(x)
        assert memory.live() == ELEMENT * n * d
        del x
        assert memory.live() == ELEMENT * n * d
        del view
        gc.collect()
        assert memory.live() == 0
        y = torch.empty(sizes["n"])
        assert not memory.knows(y)
        memory.track(y)
        assert memory.serials() == {2}


def test_the_peak_is_the_largest_total_since_the_phase_began(sizes: Sizes) -> None:
    memory = Memory(sizes)
    with sizes.mode:
        kept = torch.empty(sizes["d"])
        memory.track(kept)
        for number in (5, 1):
            x = torch.empty(number, sizes["n"])
            memory.track(x)
            memory.note()
            del x
            memory.sweep()
        assert memory.peak() == (ELEMENT * d + 5 * ELEMENT * n,)
        memory.start_phase()
        assert memory.peak() == (ELEMENT * d,)
        memory.note(3 * n)
        memory.note()
        assert memory.peak() == (ELEMENT * d + 3 * n,)


def test_what_either_of_two_sizes_can_make_largest_is_kept(sizes: Sizes) -> None:
    memory = Memory(sizes)
    with sizes.mode:
        for name in ("n", "d"):
            x = torch.empty(sizes[name])
            memory.track(x)
            memory.note()
            del x
            memory.sweep()
    assert set(memory.peak()) == {ELEMENT * n, ELEMENT * d}


def test_bytes_of_other_dtypes_and_of_a_view_of_a_larger_storage(sizes: Sizes) -> None:
    memory = Memory(sizes)
    with sizes.mode:
        tokens = torch.empty(sizes["n"], dtype=torch.int64)
        row = torch.empty(sizes["n"], sizes["d"])[0]
        spread = torch.empty(sizes["d"]).expand(sizes["n"], sizes["d"])
        assert memory.storage_bytes(tokens) == 8 * n
        assert memory.storage_bytes(row) == ELEMENT * n * d
        assert memory.storage_bytes(spread) == ELEMENT * d
        for tensor in (tokens, row, spread):
            memory.track(tensor)
        assert {held.size for held in memory.held_except([row])} == {8 * n, ELEMENT * d}


def test_what_is_alive_at_the_peak_adds_up_to_it() -> None:
    def attend(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        weights = torch.softmax(q @ k.transpose(0, 1), dim=-1)
        return weights @ k

    given = Tensor("n,d")
    cost = _cost(attend, {"q": given, "k": given})
    for pass_ in ("forward", "backward"):
        for moment in cost[pass_].moments:
            held = sp.Add(*(one.bytes.sympy for one in moment.held))
            assert sp.expand(held - moment.total.sympy) == 0
    names = {(one.name, one.step) for moment in cost["forward"].moments for one in moment.held}
    assert ("q", "arguments") in names
    assert ("aten._softmax", "other") in names
    (saved,) = cost["backward"].saved
    assert (saved.name, saved.bytes) == ("aten._softmax", cost["backward"].quantities["saved_bytes"].exact)
    assert saved.code.startswith("weights = torch.softmax(")


def _cost(function: Callable[..., torch.Tensor], arguments: dict[str, Tensor]) -> dict[str, Cost]:
    variant = Variant("function", {}, Subject(function, arguments, ("n", "d")), dtypes=("bfloat16",))
    technique = Technique("mine", "mine", "", "torch", "", lambda: [variant])
    return {cost.pass_: cost for cost in derive_variant(technique, variant)}
