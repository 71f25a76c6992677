"""The third check: the formulas of a target against recorded evidence; one finding per quantity and case that differ.

In: a technique as it was derived now, and the evidence that comes with tfcost. A function of the user's has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from tfcost.book import Book, TechniqueRecord
from tfcost.check.cells import Cell, compare
from tfcost.check.config import TargetConfig
from tfcost.check.finding import Finding
from tfcost.check.summary import exceeded
from tfcost.check.verify import load_evidence
from tfcost.evidence.record import Evidence


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many measured cells a rule decides about, and the findings about those that are outside their tolerance."""

    cells: int
    findings: tuple[Finding, ...]


class _AsDerived(Book):
    """A book of one technique: the costs that the target was derived to have now."""

    def __init__(self, record: TechniqueRecord) -> None:
        super().__init__(Path())
        self._records = {record.technique: record}
        self.__dict__["names"] = (record.technique,)


def accuracy(
    target: str, config: TargetConfig, record: TechniqueRecord, tolerance: Mapping[str, Fraction],
    measured: Sequence[Evidence] = (),
) -> Agreement:  # fmt: skip
    """The evidence about the variant and passes of `target`, recorded and `measured` now; cases of other variants are
    not its own.
    """
    if config.technique is None:
        return Agreement(0, ())
    costs = tuple(replace(cost, technique=config.technique) for cost in record.costs)
    book = _AsDerived(replace(record, technique=config.technique, costs=costs))
    cells: list[Cell] = []
    for evidence in (*measured, *(file.evidence for file in load_evidence(None, required=False))):
        cells += compare(evidence, book, [config.technique]).cells
    beyond = [cell for cell in exceeded(cells) if abs(cell.relative) > tolerance.get(cell.quantity, 0)]
    return Agreement(sum(cell.within is not None for cell in cells), tuple(_findings(target, beyond)))


def _findings(target: str, cells: Sequence[Cell]) -> list[Finding]:
    found = []
    for cell in cells:
        sizes = ", ".join(f"{name}={size}" for name, size in sorted(cell.case.sizes.items()))
        about = Finding("accuracy", target, "", pass_=cell.case.pass_, quantity=cell.quantity)
        message = f"{about.place} was measured as {cell.measured:,}, derived as {cell.derived:,} ({cell.relative:+.1%})"
        details = (f"at {sizes}, {cell.case.dtype}", f"rule: {cell.rule}")
        found.append(replace(about, message=message, details=details, weight=abs(cell.relative)))
    return found
