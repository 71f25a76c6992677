"""Cells in, one line per technique and quantity out: how many are equal, how many are within, and the worst."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tfcost.check.cells import TIME, Cell
from tfcost.quantities import QUANTITIES

_ORDER = {name: place for place, name in enumerate((*QUANTITIES, TIME))}


@dataclass(frozen=True, slots=True)
class Summary:
    """The cells of a quantity, of one technique or of "all": `gated` have a rule that decides, `within` of these meet
    it.

    `typical` is the median of the relative differences' sizes, `worst` the cell that differs most.
    """

    technique: str
    quantity: str
    cells: int
    equal: int
    gated: int
    within: int
    typical: float
    worst: Cell

    @property
    def failed(self) -> int:
        """How many cells exceed their tolerance."""
        return self.gated - self.within


def totals(cells: Iterable[Cell]) -> tuple[Summary, ...]:
    """One summary per quantity, over all techniques."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.quantity, []).append(cell)
    return tuple(_summary("all", name, groups[name]) for name in sorted(groups, key=_ORDER.__getitem__))


def summarize(cells: Iterable[Cell]) -> tuple[Summary, ...]:
    """One summary per technique and quantity, techniques in alphabetical order."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.case.technique, cell.quantity), []).append(cell)
    ordered = sorted(groups, key=lambda key: (key[0], _ORDER[key[1]]))
    return tuple(_summary(*key, groups[key]) for key in ordered)


def _summary(technique: str, quantity: str, cells: Sequence[Cell]) -> Summary:
    gated = [cell for cell in cells if cell.within is not None]
    return Summary(
        technique,
        quantity,
        len(cells),
        sum(cell.difference == 0 for cell in cells),
        len(gated),
        sum(cell.within is True for cell in gated),
        median(abs(cell.relative) for cell in cells),
        max(cells, key=lambda cell: (cell.within is False, abs(cell.relative))),
    )


def exceeded(cells: Iterable[Cell]) -> list[Cell]:
    """The cells that exceed their tolerance, the worst first."""
    return sorted((cell for cell in cells if cell.within is False), key=lambda cell: -abs(cell.relative))


def exceptions(cells: Iterable[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """The cells by quantity and rule."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.quantity, cell.rule), []).append(cell)
    return {key: found[key] for key in sorted(found, key=lambda key: (_ORDER[key[0]], -len(found[key])))}
