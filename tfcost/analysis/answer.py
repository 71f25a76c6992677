"""A query and its cost in, the evaluated answer out: for every quantity its value and class, the same per step."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from tfcost.analysis.query import Query
from tfcost.analysis.shown import class_of, shown_form
from tfcost.analysis.theta import Theta
from tfcost.book import Book
from tfcost.cost import Cost
from tfcost.formula import Formula
from tfcost.formula import tree as t
from tfcost.quantities import QUANTITIES, QuantityKind


@dataclass(frozen=True)
class Evaluated:
    """One quantity at the query's sizes.

    `formula` is the form to show, `shown_under` what that form supposes; `classify` finds its class.
    """

    kind: QuantityKind
    exact: Formula
    formula: Formula
    shown_under: str
    value: int | Fraction
    classify: Callable[[], Theta | None] = field(compare=False, repr=False)
    provenance: str
    note: str = ""

    @cached_property
    def theta(self) -> Theta | None:
        """The class, None where no regime that is tried decides it. It may take long, and many are never shown."""
        return self.classify()


@dataclass(frozen=True, slots=True)
class EvaluatedStep:
    """A step with its additive quantities."""

    name: str
    quantities: Mapping[str, Evaluated]


@dataclass(frozen=True)
class Answer:
    """What one technique costs at one query. `time` and `space` are classes: of all arithmetic, of peak memory."""

    query: Query
    cost: Cost
    quantities: Mapping[str, Evaluated]
    time: Theta | None
    space: Theta | None

    @cached_property
    def steps(self) -> tuple[EvaluatedStep, ...]:
        """The steps, evaluated when they are asked for."""
        values, fixed = self.query.values, self.cost.fixed
        return tuple(
            EvaluatedStep(step.name, amounts_as_quantities(step.amounts, values, fixed)) for step in self.cost.steps
        )


def answer(query: Query, book: Book) -> Answer:
    """Evaluates the cost that `book` has for `query`. UserError if it has none."""
    cost = query.cost(book)
    values = query.values
    quantities = {
        name: evaluate(
            name,
            quantity.exact,
            values,
            fixed=cost.fixed,
            provenance=quantity.provenance,
            readable=quantity.readable,
            readable_under=quantity.regime,
            note=quantity.note,
        )
        for name, quantity in cost.quantities.items()
    }
    peak = quantities.get("peak_bytes")
    return Answer(
        query,
        cost,
        quantities,
        time=time_class([entry.exact for name, entry in quantities.items() if name in TIME], values, cost.fixed),
        space=peak.theta if peak else None,
    )


TIME = ("matmul_flops", "scalar_flops")
"""The quantities whose sum is the class of time."""

ADDITIVE = (*TIME, "issued_bytes")
"""The quantities of steps and operations."""


def time_class(formulas: Iterable[Formula], values: Mapping[str, int], fixed: Mapping[str, int]) -> Theta | None:
    """The class of the sum of `formulas`."""
    return class_of(total(formulas), values, fixed)


def amounts_as_quantities(
    amounts: Mapping[str, Formula], values: Mapping[str, int], fixed: Mapping[str, int]
) -> dict[str, Evaluated]:
    """The amounts of a step or operation, evaluated as quantities."""
    formulas = {name: added_amounts(name, amounts) for name in ADDITIVE}
    return {name: evaluate(name, total(parts), values, fixed=fixed) for name, parts in formulas.items() if parts}


def added_amounts(quantity: str, amounts: Mapping[str, Formula]) -> list[Formula]:
    """What of `amounts` makes up `quantity`: bytes read and written together are its issued bytes."""
    names = ("read_bytes", "write_bytes") if quantity == "issued_bytes" else (quantity,)
    return [amounts[name] for name in names if name in amounts]


def evaluate(
    name: str,
    exact: Formula,
    values: Mapping[str, int],
    *,
    fixed: Mapping[str, int],
    readable: Formula | None = None,
    readable_under: str = "",
    provenance: str = "",
    note: str = "",
) -> Evaluated:
    """The quantity `name` with the formula `exact` at `values`; `readable` is a simpler one that holds for
    `readable_under`.
    """
    shown = shown_form(readable or exact, values, fixed)
    return Evaluated(
        kind=QUANTITIES[name],
        exact=exact,
        formula=shown.formula,
        shown_under=", ".join(filter(None, (readable_under if readable else "", shown.regime))),
        value=exact.evaluate(values),
        classify=lambda: class_of(exact, values, fixed),
        provenance=provenance,
        note=note,
    )


def total(formulas: Iterable[Formula]) -> Formula:
    """The sum of `formulas`."""
    return Formula.of_tree(t.add([formula.tree for formula in formulas]))
