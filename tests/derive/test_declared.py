"""What is declared of loaded numbers: read by kernels that load them, kept to its bounds, refused where a mean is not
enough, and without effect outside of a derivation.
"""

from typing import Any

import pytest
import sympy as sp

torch = pytest.importorskip("torch")
triton = pytest.importorskip("triton")
import triton.language as tl  # noqa: E402

from tfcost.declared import declare  # noqa: E402
from tfcost.derive.costs import derive_variant  # noqa: E402
from tfcost.derive.errors import DerivationError  # noqa: E402
from tfcost.derive.subject import Subject, Tensor  # noqa: E402
from tfcost.derive.technique import Technique, Variant  # noqa: E402
from tfcost.derive.trace import PassTrace, trace_forward  # noqa: E402

BLOCK = 16


@triton.jit
def walk_kernel(x_ptr, out_ptr, counts_ptr, n, BLOCK: tl.constexpr):
    """Each program copies as many of the n elements as its count says."""
    count = tl.minimum(tl.load(counts_ptr + tl.program_id(0)), n)
    for start in range(0, count, BLOCK):
        place = start + tl.arange(0, BLOCK)
        tl.store(out_ptr + place, tl.load(x_ptr + place, mask=place < count), mask=place < count)


@triton.jit
def masked_kernel(x_ptr, out_ptr, counts_ptr, n, BLOCK: tl.constexpr):
    """As above, but the count is 0 where there is none."""
    count = tl.minimum(tl.load(counts_ptr + tl.program_id(0), mask=tl.program_id(0) < 5, other=0), n)
    for start in range(0, count, BLOCK):
        place = start + tl.arange(0, BLOCK)
        tl.store(out_ptr + place, tl.load(x_ptr + place, mask=place < count), mask=place < count)


def subject(kernel: Any, value: str | None = "rows", bounded: bool = True) -> Subject:
    def run(x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        if value is not None:
            declare(counts, value, at_most=x.shape[0] if bounded else None)
        out = torch.empty_like(x)
        kernel[(counts.shape[0],)](x, out, counts, x.shape[0], BLOCK=BLOCK)
        return out

    return Subject(run, {"x": Tensor("n"), "counts": Tensor("E", "index", torch.int32)}, ("n", "E"))


def trace(*how: Any, **more: Any) -> PassTrace:
    return trace_forward(subject(*how, **more), torch.float32)


def stored(found: PassTrace) -> sp.Expr:
    return sp.expand(sp.Add(*(record.write_bytes for record in found.records)))


n, count, rows = sp.symbols("n E rows", integer=True, positive=True)


def test_a_kernel_reads_what_is_declared() -> None:
    found = trace(walk_kernel)
    assert stored(found) == 4 * count * rows
    assert not found.notes


def test_without_a_bound_the_kernels_own_holds() -> None:
    assert stored(trace(walk_kernel, bounded=False)) == sp.expand(4 * count * sp.Min(n, rows))


def test_a_number_may_be_declared() -> None:
    assert stored(trace(walk_kernel, "0")) == 0


def test_undeclared_counts_are_bounds() -> None:
    found = trace(walk_kernel, None)
    assert stored(found) == 4 * count * BLOCK * sp.ceiling(n / BLOCK)
    assert found.notes


def test_a_masked_load_has_lanes_that_are_not_declared() -> None:
    assert trace(masked_kernel).notes


def variant(declared: tuple[tuple[str, str], ...]) -> Variant:
    return Variant("core", {}, subject(walk_kernel), dtypes=("float32",), backward=False, declared=declared)


TECHNIQUE = Technique("walk", "walk", "", "triton", "", lambda: ())


def test_means_take_the_place_of_declared_symbols() -> None:
    (cost,) = derive_variant(TECHNIQUE, variant((("rows", "b/E"),)))
    assert cost.quantities["issued_bytes"].exact.evaluate({"E": 4, "b": 10, "n": 7}) == 4 * 4 + 2 * 4 * 10
    assert cost.quantities["issued_bytes"].provenance == "declared"
    assert cost.quantities["peak_bytes"].provenance == "traced"


def test_a_mean_is_not_enough_where_the_cost_is_not_linear() -> None:
    def twice(x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        declare(counts, "rows")
        out = torch.empty_like(x)
        walk_kernel[(counts.shape[0],)](x, out, counts, x.shape[0], BLOCK=BLOCK)
        return out

    unbounded = Subject(twice, subject(walk_kernel).arguments, ("n", "E"))
    bad = Variant("core", {}, unbounded, dtypes=("float32",), backward=False, declared=(("rows", "b/E"),))
    with pytest.raises(DerivationError, match="not linear in 'rows'"):
        list(derive_variant(TECHNIQUE, bad))


def test_nothing_happens_outside_of_a_derivation() -> None:
    tensor = torch.arange(3)
    declare(tensor, "rows", at_most=2)
    assert tensor.tolist() == [0, 1, 2]
