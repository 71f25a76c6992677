"""The rules by which a cell is judged: one table. The first rule whose condition is met decides.

Every quantity ends with the plain rule (equality, or the stated tolerance); what stands before it is an exception with
a reason and a condition that can be tested. A rule without `within` compares and decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tfcost.check.comparison import BLOCK, Comparison

MEMORY_SHARE, MODEL_SHARE, HBM_SHARE, SECTOR_SHARE, L1_SHARE = 0.001, 0.005, 0.05, 0.05, 0.01
UNSPLIT = 2**20
"""A larger free block serves a request as it is if splitting it would leave no more than this many bytes."""

Test = Callable[[Comparison], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """`within` decides where `applies`; `allowed` is the tolerance in the quantity's unit (None: there is none)."""

    quantities: tuple[str, ...]
    name: str
    reason: str
    applies: Test
    within: Test | None
    allowed: Callable[[Comparison], int | float] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of a cell."""

    rule: str
    within: bool | None
    allowed: int | float | None


def judge(comparison: Comparison) -> Verdict:
    """The verdict of the first rule that applies."""
    for rule in RULES:
        if comparison.quantity in rule.quantities and rule.applies(comparison):
            within = None if rule.within is None else rule.within(comparison)
            return Verdict(rule.name, within, rule.allowed(comparison) if rule.allowed else None)
    raise AssertionError(f"no rule for {comparison.quantity}")


def _always(_: Comparison) -> bool:
    return True


def _equal(cell: Comparison) -> bool:
    return cell.difference == 0


def _blocks(cell: Comparison) -> int:
    return BLOCK * cell.memory.blocks


def _requested_as_derived(cell: Comparison) -> bool:
    requested = cell.requested
    return requested is not None and abs(requested - cell.derived) <= min(_blocks(cell), MEMORY_SHARE * cell.derived)


def _rounding(cell: Comparison) -> float:
    """What the allocator added to the bytes that were asked for."""
    return cell.measured - (cell.requested or 0)


def _distinct_reads(cell: Comparison) -> float:
    """Derived unique bytes less what was written: what has to come from device memory."""
    return cell.derived - cell.counters.l2_write_bytes


_FLOPS, _TRAFFIC, _HBM = ("matmul_flops",), ("issued_bytes",), ("unique_bytes",)
_MEMORY = ("peak_bytes", "saved_bytes")
_ALL = (*_FLOPS, *_TRAFFIC, *_HBM, *_MEMORY, "sram_bytes", "time")

RULES: tuple[Rule, ...] = (
    Rule(
        _ALL, "outside the assumptions", "the formula is derived for sizes that these are not",
        lambda cell: bool(cell.source.broken()), None,
    ),
    Rule(
        _FLOPS, "single precision", "fp32 products run on the FMA units, among all other arithmetic",
        lambda cell: cell.measurement.case.dtype == "float32", None,
    ),
    Rule(_FLOPS, "equal", "tensor-core FLOPs, counted by the hardware", _equal, _always, lambda cell: 0),
    Rule(
        _FLOPS, "most tiles", "the formula counts the most tiles that a routing can need",
        lambda cell: any(text.startswith("the most tiles") for text in cell.source.cost.assumptions),
        lambda cell: cell.measured <= cell.derived,
    ),
    Rule(
        _FLOPS, "matrix by vector", "the library multiplies by a single column on the FMA units (gemv)",
        lambda cell: cell.has_kernel("gemv"),
        lambda cell: cell.measured <= cell.padded and cell.measured + 2 * (cell.counters.fp32_fma or 0) >= cell.derived,
    ),
    Rule(
        _FLOPS, "library tiles",
        "the library fills sizes up to its own tiles, with sides of 32, 64, … up to 384 (8 to 64 for a single row, 32 "
        "for a single term)",
        lambda cell: not cell.all_triton,
        lambda cell: cell.derived <= cell.measured <= cell.padded,
        lambda cell: cell.padded - cell.derived,
    ),
    Rule(_FLOPS, "equal", "tensor-core FLOPs, counted by the hardware", _always, _equal, lambda cell: 0),
    Rule(
        _TRAFFIC, "library kernels", "torch's own kernels read an input as often as they like",
        lambda cell: not cell.all_triton, None,
    ),
    Rule(
        _TRAFFIC, "data decides", "masks that depend on loaded indices: the formula is an upper bound",
        lambda cell: cell.source.data_decides, lambda cell: cell.measured <= cell.derived,
    ),
    Rule(
        _TRAFFIC, "equal", "bytes between multiprocessors and L2",
        _equal, _always, lambda cell: 0,
    ),
    Rule(
        _TRAFFIC, "spilled registers", "a kernel that needs more than 255 registers keeps the rest in memory",
        lambda cell: cell.spilled > 0,
        lambda cell: -L1_SHARE * cell.derived <= cell.difference <= cell.spilled + SECTOR_SHARE * cell.derived,
        lambda cell: cell.spilled + SECTOR_SHARE * cell.derived,
    ),
    Rule(
        _TRAFFIC, "shared through L1",
        "programs that one multiprocessor runs side by side read the same state or rows, and L1 serves all but the "
        "first: not fewer bytes than are distinct",
        lambda cell: cell.difference < -L1_SHARE * cell.derived,
        lambda cell: cell.measured >= (cell.source.value("unique_bytes") or cell.derived),
        lambda cell: cell.derived - (cell.source.value("unique_bytes") or cell.derived),
    ),
    Rule(
        _TRAFFIC, "sectors and L1",
        "memory moves in sectors of 32 bytes, also where a row ends inside of one or single numbers are read; and what "
        "two programs of one multiprocessor read, L1 may serve the second time",
        _always,
        lambda cell: -L1_SHARE * cell.derived <= cell.difference <= SECTOR_SHARE * cell.derived,
        lambda cell: SECTOR_SHARE * cell.derived,
    ),
    Rule(
        _HBM, "fits in L2", "a working set below four times L2 need not come from device memory",
        lambda cell: (cell.source.value("peak_bytes") or 0) < 4 * cell.l2_bytes, None,
    ),
    Rule(
        _HBM, "data decides", "which parts of a tensor are read depends on loaded indices",
        lambda cell: cell.source.data_decides, None,
    ),
    Rule(
        _HBM, "several kernels", "a later kernel reads again what left L2 in between: the formula is a lower bound",
        lambda cell: cell.launches != 1,
        lambda cell: -cell.difference <= HBM_SHARE * _distinct_reads(cell),
        lambda cell: HBM_SHARE * _distinct_reads(cell),
    ),
    Rule(
        _HBM, "read once", "one kernel: each distinct byte comes from device memory once",
        _always,
        lambda cell: abs(cell.difference) <= HBM_SHARE * _distinct_reads(cell),
        lambda cell: HBM_SHARE * _distinct_reads(cell),
    ),
    Rule(
        _MEMORY, "whole model", "0.5 % of a model's memory: what libraries allocate besides is not derived",
        lambda cell: cell.is_model, lambda cell: cell.within_share(MODEL_SHARE),
        lambda cell: MODEL_SHARE * cell.derived,
    ),
    Rule(
        _MEMORY, "rounded blocks", "as many bytes asked for as derived, each block rounded up to 512",
        lambda cell: cell.requested == cell.derived and 0 <= _rounding(cell) <= _blocks(cell),
        _always, _blocks,
    ),
    Rule(
        ("peak_bytes",), "partial sums", "torch's sums over many rows keep partial sums of their own (Reduce.cuh)",
        lambda cell: not cell.is_model and cell.difference > 0 and cell.partial_sums > 0,
        lambda cell: cell.difference <= cell.partial_sums + _blocks(cell), lambda cell: cell.partial_sums,
    ),
    Rule(
        _MEMORY, "unsplit block", "a free block was taken whole: splitting it would have left less than 1 MiB",
        lambda cell: _requested_as_derived(cell) and _blocks(cell) < _rounding(cell),
        lambda cell: _rounding(cell) <= UNSPLIT * cell.memory.blocks, lambda cell: UNSPLIT * cell.memory.blocks,
    ),
    Rule(
        _MEMORY, "512 bytes per block", "at most 512 bytes for each block that is alive, and 0.1 %",
        _always, lambda cell: abs(cell.difference) <= _blocks(cell) and cell.within_share(MEMORY_SHARE),
        lambda cell: min(_blocks(cell), MEMORY_SHARE * cell.derived),
    ),
    Rule(("sram_bytes",), "reported", "the compiler adds what it needs for its own exchanges", _always, None),
    Rule(("time",), "prediction", "a roofline of the ceilings measured in the same run", _always, None),
)  # fmt: skip
"""In the order in which they are tried."""
