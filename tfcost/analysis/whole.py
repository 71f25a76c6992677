"""Everything that runs at one choice of sizes, a technique or a model: its costs and how often each is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tfcost.analysis.model import ModelCost, Part
from tfcost.analysis.polynomial import Exact
from tfcost.analysis.portions import Portion, Sizes, names_of, portion
from tfcost.analysis.query import Query
from tfcost.book import Book
from tfcost.cost import Cost
from tfcost.formula import Formula


@dataclass(frozen=True, slots=True)
class Piece:
    """A cost that is done `count` times at the sizes `values`.

    In a model its symbols have `meanings` in those of the model, whose sizes are `outer`.
    """

    cost: Cost
    count: Exact
    values: Sizes
    outer: Sizes = field(default_factory=dict)
    meanings: Mapping[str, Formula] = field(default_factory=dict)

    @property
    def whole_values(self) -> dict[str, int]:
        """The sizes that are whole numbers, as all are that costs are looked up by."""
        return {name: size for name, size in self.values.items() if isinstance(size, int)}

    def at(self, changed: Sizes) -> Sizes:
        """The sizes of the piece where those of the whole are `changed`."""
        if not self.meanings:
            return {**self.values, **changed}
        outer = {**self.outer, **changed}
        return {**self.values, **{name: meaning.evaluate(outer) for name, meaning in self.meanings.items()}}

    def follows(self, name: str) -> bool:
        """Whether the piece's own `name` changes with that of the whole; a part for one token of many does not."""
        meaning = self.meanings.get(name)
        return meaning is None or name in meaning.symbols


@dataclass(frozen=True, slots=True)
class Whole:
    """All pieces, and the exact formulas of what their steps do not add up to, at the sizes `values`."""

    pieces: tuple[Piece, ...]
    quantities: Mapping[str, Formula]
    values: Sizes
    dtype: str

    def portions(self, changed: Sizes | None = None) -> list[Portion]:
        """Everything, as it is or with some sizes `changed`."""
        return [portion(one.cost, names_of(one.cost), [one.at(changed or {})], one.count) for one in self.pieces]


At = Callable[[Mapping[str, int]], Whole]
"""What makes a `Whole` at its defaults with some sizes replaced. It raises UserError where formulas do not apply."""


def whole_technique(query: Query, book: Book) -> Whole:
    """The cost that answers `query`. UserError if there is none."""
    cost = query.cost(book)
    formulas = {name: quantity.exact for name, quantity in cost.quantities.items()}
    return Whole((Piece(cost, 1, query.values),), formulas, query.values, query.dtype)


def whole_model(cost: ModelCost) -> Whole:
    """Every execution of every part of a model, and the optimizer's step."""
    values: dict[str, Exact] = {**cost.values, "N": cost.parameters.evaluate(cost.values)}
    pieces = [_piece(one.part, one.cost, one.count, values) for one in cost.executions]
    pieces += [Piece(part.forward, 1, values) for part in cost.parts if part.name == "optimizer"]
    return Whole(tuple(pieces), {name: one.exact for name, one in cost.quantities.items()}, values, cost.dtype)


def _piece(part: Part, cost: Cost, count: Formula, values: Sizes) -> Piece:
    return Piece(cost, count.evaluate(values), {**values, **part.values}, values, part.meanings)
