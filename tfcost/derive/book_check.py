"""Compares two records of a technique formula by formula: what `tfcost derive --check` prints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfcost.book import TechniqueRecord
from tfcost.cost import Cost
from tfcost.formula import Formula


@dataclass(frozen=True, slots=True)
class Difference:
    """One formula that differs: where it stands, what the book says (None: nothing) and what the code costs."""

    place: str
    book: str | None
    code: str | None


def differences(book: TechniqueRecord | None, code: TechniqueRecord) -> list[Difference]:
    """Every formula in which `book` and `code` differ, in the order of the code's record."""
    old = dict(_formulas(book)) if book else {}
    new = dict(_formulas(code))
    places = [*new, *(place for place in old if place not in new)]
    return [Difference(p, old.get(p), new.get(p)) for p in places if old.get(p) != new.get(p)]


def _formulas(record: TechniqueRecord) -> Iterator[tuple[str, str]]:
    for cost in record.costs:
        head = f"{record.technique} {describe(cost)}"
        for name, quantity in cost.quantities.items():
            yield f"{head}: {name}", quantity.exact.text
        for step in cost.steps:
            yield from _texts(f"{head}: step '{step.name}'", step.amounts)
        yield from _texts(f"{head}: composition", cost.composition)


def _texts(head: str, formulas: Mapping[str, Formula]) -> Iterator[tuple[str, str]]:
    for name, formula in formulas.items():
        yield f"{head} {name}", formula.text


def describe(cost: Cost) -> str:
    """What tells one cost of a technique from the others: "core forward bfloat16 causal=false d_h=64"."""
    choices = {**cost.variant, **cost.fixed}
    words = [f"{name}={str(value).lower()}" for name, value in sorted(choices.items())]
    return " ".join((cost.scope, cost.pass_, cost.dtypes[0], *words))
