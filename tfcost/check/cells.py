"""Evidence and book in, one cell per measured case and quantity out: derived, measured, and what the rules say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfcost.analysis.ceilings import Measured, measured_ceilings
from tfcost.book import Book
from tfcost.check.comparison import Comparison
from tfcost.check.derived import Derived, derived_for
from tfcost.check.impossible import impossible
from tfcost.check.rules import judge
from tfcost.errors import UserError
from tfcost.evidence.record import Case, Evidence, Measurement

TIME = "time"
"""The quantity of a cell about predicted and measured seconds."""

IMPOSSIBLE = "impossible"
"""The outcome of a case whose time is below what its work takes at the ceilings of the run."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One quantity of one case. `within`: the rule called `rule` is met (None: it compares, but decides nothing).

    `allowed` is the tolerance in the quantity's unit, where the rule has one.
    """

    case: Case
    quantity: str
    derived: int | float
    measured: int | float
    within: bool | None
    rule: str
    allowed: int | float | None = None

    @property
    def difference(self) -> int | float:
        """Measured less derived."""
        return self.measured - self.derived

    @property
    def relative(self) -> float:
        """The difference as a part of what is derived."""
        if self.difference == 0:
            return 0.0
        return self.difference / self.derived if self.derived else float("inf")


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A case that gives no cell, and why: out of memory, failed, not in the book, or above a ceiling."""

    case: Case
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Compared:
    """All cells of some evidence, and the cases that gave none."""

    cells: tuple[Cell, ...]
    unmatched: tuple[Unmatched, ...]


def compare(evidence: Evidence, book: Book, techniques: Sequence[str] = ()) -> Compared:
    """Every measurement of `evidence` (of these `techniques` alone, if any are named) against `book`."""
    cells: list[Cell] = []
    unmatched: list[Unmatched] = []
    ceilings = [
        measured_ceilings(environment, found) if found else None
        for environment, found in zip(evidence.environments, evidence.ceilings, strict=True)
    ]
    for measurement in evidence.measurements:
        case = measurement.case
        if techniques and case.technique not in techniques:
            continue
        if measurement.outcome != "measured":
            unmatched.append(Unmatched(case, measurement.outcome, measurement.reason))
            continue
        try:
            derived = derived_for(case, book)
        except UserError as error:
            unmatched.append(Unmatched(case, "no formula", str(error)))
            continue
        machine, best = evidence.environments[measurement.environment], ceilings[measurement.environment]
        if best and (reason := impossible(measurement, derived, best, machine.l2_bytes)):
            unmatched.append(Unmatched(case, IMPOSSIBLE, reason))
            continue
        for quantity, expected, found in _pairs(measurement, derived, best):
            comparison = Comparison(
                quantity, expected, found, measurement, derived, machine.l2_bytes, machine.multiprocessors
            )
            verdict = judge(comparison)
            cells.append(Cell(case, quantity, expected, found, verdict.within, verdict.rule, verdict.allowed))
    return Compared(tuple(cells), tuple(unmatched))


def _pairs(
    measurement: Measurement, derived: Derived, ceilings: Measured | None
) -> Iterator[tuple[str, int | float, int | float]]:
    """Quantity, derived and measured value, of all that is both derived and measured."""
    for quantity, found in measured_quantities(measurement).items():
        expected = derived.value(quantity)
        if expected is not None:
            yield quantity, expected, found
    if measurement.timing and ceilings and (prediction := derived.prediction(ceilings)):
        yield TIME, prediction.seconds, measurement.timing.median


def measured_quantities(measurement: Measurement) -> Mapping[str, int]:
    """What was measured, by the name of the quantity that speaks of it.

    `unique_bytes` is what was read from device memory and written at all: what is written reaches device memory sooner
    or later, often after the last kernel.
    """
    found: dict[str, int] = {}
    if counters := measurement.counters:
        found["matmul_flops"] = counters.tensor_flops
        found["issued_bytes"] = counters.l2_read_bytes + counters.l2_write_bytes
        found["unique_bytes"] = counters.hbm_read_bytes + counters.l2_write_bytes
    if memory := measurement.memory:
        found["peak_bytes"] = memory.peak_bytes
        if memory.saved_bytes is not None:
            found["saved_bytes"] = memory.saved_bytes
    on_chip = [kernel.sram_bytes for kernel in measurement.kernels if kernel.triton]
    if on_chip:
        found["sram_bytes"] = max(on_chip)
    return found
