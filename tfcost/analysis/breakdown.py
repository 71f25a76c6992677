"""A model's cost broken down: a `ModelCost` in; per step, per part, for one layer and for the whole model the values,
shares and classes out, and which term rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tfcost.analysis import polynomial as poly
from tfcost.analysis.answer import ADDITIVE, TIME, Evaluated, added_amounts, evaluate, time_class, total
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.dominance import Flip, Share, flips, shares
from tfcost.analysis.model import ONE, ModelCost, Row
from tfcost.analysis.model.algebra import ZERO, added, collected, over
from tfcost.analysis.predict import Machine, Prediction
from tfcost.analysis.roofline import model_time
from tfcost.analysis.shown import along_n, model_regime, with_hidden_width
from tfcost.analysis.theta import Theta
from tfcost.cost import Quantity
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t


@dataclass(frozen=True, slots=True)
class Entry:
    """A step, or a sum of steps, in one quantity: what one execution costs, how often it is done, and what all of them
    cost together: their `value`, its `share` of the model's, their class.
    """

    each: Evaluated
    count: Formula
    value: int | Fraction
    share: Fraction

    @property
    def theta(self) -> Theta | None:
        """Of all executions: the count does not depend on what the class depends on."""
        theta = self.each.theta
        return theta and replace(theta, formula=_product(self.count, theta.formula), leading=None)

    @property
    def total(self) -> Evaluated:
        """All executions together."""
        if self.count == ONE:
            return self.each
        exact, formula = times(self.count, self.each.exact), _product(self.count, self.each.formula)
        return replace(self.each, exact=exact, formula=formula, value=self.value, classify=lambda: self.theta)


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of one part; `parameters` are those of one execution."""

    part: str
    name: str
    count: Formula
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class PartView:
    """A part with its steps; `entries` are their sums. `parameters` counts its weights in all executions."""

    name: str
    count: Formula
    steps: tuple[StepView, ...]
    entries: Mapping[str, Entry]
    parameters: Evaluated


@dataclass(frozen=True, slots=True)
class LayerView:
    """One kind of layer, of which the model has `count`: what one of them costs; `parts` are the names of its parts."""

    parts: tuple[str, ...]
    count: Formula
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class CacheView:
    """Keys and values that one kind of part keeps: bytes of one layer, of the tokens alone and in pages, and the number
    of layers.
    """

    part: str
    count: int | Fraction
    each: Evaluated
    paged: Evaluated

    @property
    def all(self) -> int | Fraction:
        """Bytes of all layers."""
        return self.count * self.each.value

    @property
    def all_paged(self) -> int | Fraction:
        """The same in pages."""
        return self.count * self.paged.value


@dataclass(frozen=True, slots=True)
class Rule:
    """Which term of `quantity` is the largest at the model's sizes, at one `scope` ("layer" or "model"), and where
    along n that changes.
    """

    scope: str
    quantity: str
    terms: tuple[Share, ...]
    flips: tuple[Flip, ...]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A whole model: its parts, one layer of each kind, the totals, the classes of its time and memory, what its memory
    is for where it is highest (by the keys of `CATEGORIES`), and its caches.
    """

    cost: ModelCost
    parts: tuple[PartView, ...]
    layers: tuple[LayerView, ...]
    quantities: Mapping[str, Evaluated]
    time: Theta | None
    space: Theta | None
    rules: tuple[Rule, ...]
    memory: Mapping[str, Evaluated]
    caches: tuple[CacheView, ...]

    @property
    def memory_total(self) -> int | Fraction:
        """Bytes where memory is highest: the sum of its categories."""
        return sum(one.value for one in self.memory.values())


def break_down(cost: ModelCost) -> Breakdown:
    """Evaluates `cost` at its sizes."""
    return _Evaluator(cost).breakdown()


class _Evaluator:
    """Evaluates sums of a model's rows; with a fixed head width anywhere, that width holds for the whole model."""

    def __init__(self, cost: ModelCost) -> None:
        self.cost = cost
        self.values = cost.values
        self.fixed = {name: size for part in cost.parts for name, size in part.forward.fixed.items()}
        self.quantities = {name: self._quantity(name, one) for name, one in cost.quantities.items()}

    def breakdown(self) -> Breakdown:
        rows: dict[tuple[str, str], list[Row]] = {}
        for row in self.cost.rows:
            rows.setdefault((row.part, row.count.text), []).append(row)
        layers = tuple(self._layer(names, count) for names, count in _kinds(self.cost).items())
        most = max(layers, key=lambda layer: layer.count.evaluate(self.values))
        arithmetic = [self.cost.quantities[name].exact for name in TIME]
        return Breakdown(
            self.cost,
            tuple(self._part(part_rows) for part_rows in rows.values()),
            layers,
            self.quantities,
            time=time_class(arithmetic, self.values, self.fixed),
            space=self.quantities["peak_bytes"].theta,
            rules=tuple(_rules(most.entries, self.quantities, self.values)),
            memory={name: self._bytes(one) for name, one in self.cost.memory.items()},
            caches=tuple(self._caches()),
        )

    def _bytes(self, formula: Formula) -> Evaluated:
        return evaluate("peak_bytes", formula, self.values, fixed=self.fixed)

    def _caches(self) -> Iterable[CacheView]:
        for part in self.cost.parts:
            if part.cached != ZERO:
                count = part.count.evaluate(self.values)
                yield CacheView(part.name, count, self._bytes(part.cached), self._bytes(part.paged))

    def _quantity(self, name: str, one: Quantity) -> Evaluated:
        return evaluate(
            name,
            one.exact,
            self.values,
            fixed=self.fixed,
            readable=one.readable,
            readable_under=one.regime,
            provenance=one.provenance,
            note=one.note,
        )

    def _part(self, rows: Sequence[Row]) -> PartView:
        """The part that `rows` are the steps of, all done equally often."""
        name, count = rows[0].part, rows[0].count
        steps = tuple(StepView(name, row.step, count, self._entries([row])) for row in rows)
        weights = total([times(count, row.parameters) for row in rows])
        parameters = evaluate("parameters", weights, self.values, fixed=self.fixed)
        return PartView(name, count, steps, steps[0].entries if len(rows) == 1 else self._entries(rows), parameters)

    def _layer(self, names: tuple[str, ...], count: Formula) -> LayerView:
        """One layer made of the parts `names`; of what runs less often than once a layer, its share."""
        counts = {part.name: part.count for part in self.cost.parts}
        rows = [self._share(row, counts[row.source]) for row in self.cost.rows if row.source in names]
        return LayerView(names, count, self._entries([replace(row, count=count) for row in rows]))

    def _share(self, row: Row, of: Formula) -> Row:
        if row.count == of:
            return row
        share = collected(over(row.count, of))
        return replace(row, amounts={name: times(share, amount) for name, amount in row.amounts.items()})

    def _entries(self, rows: Sequence[Row]) -> dict[str, Entry]:
        """The sums of `rows`, which are all done equally often, in every additive quantity that they have."""
        entries = {}
        for name in ADDITIVE:
            formulas = [amount for row in rows for amount in added_amounts(name, row.amounts)]
            if formulas:
                entries[name] = self._entry(name, total(formulas), rows[0].count)
        return entries

    def _entry(self, name: str, formula: Formula, count: Formula) -> Entry:
        each = evaluate(name, formula, self.values, fixed=self.fixed)
        value = each.value * count.evaluate(self.values)
        whole = self.quantities[name].value
        share = Fraction(value) / whole if whole else Fraction(0)
        return Entry(each, count, value, share)


def _kinds(cost: ModelCost) -> dict[tuple[str, ...], Formula]:
    """The kinds of layers, by the names of their parts, and how many there are of each."""
    found: dict[tuple[str, ...], list[Formula]] = {}
    for run in cost.runs:
        for layer in run.layers:
            if layer[0].forward.scope == "block":
                found.setdefault(tuple(part.name for part in layer), []).append(run.count)
    return {names: counts[0] if len(counts) == 1 else collected(added(counts)) for names, counts in found.items()}


def _product(count: Formula, formula: Formula) -> Formula:
    return poly.to_formula(poly.expand(times(count, formula).tree))


def times(count: Formula, formula: Formula) -> Formula:
    """`formula`, `count` times."""
    return formula if count == ONE else Formula.of_tree(t.multiply([count.tree, formula.tree]))


def _rules(layer: Mapping[str, Entry], totals: Mapping[str, Evaluated], values: Mapping[str, int]) -> Iterable[Rule]:
    """The ruling terms of the matrix products and of the memory traffic of a layer, and of the model's products.

    Peak memory has none: another moment becomes the highest as n grows, with other terms.
    """
    for name in ("matmul_flops", "issued_bytes"):
        if name in layer:
            yield from _rule("layer", name, layer[name].each.formula, values)
    yield from _rule("model", "matmul_flops", totals["matmul_flops"].formula, values)


def _rule(scope: str, quantity: str, formula: Formula, values: Mapping[str, int]) -> Iterable[Rule]:
    """The rule, unless the formula is still rounded in n."""
    regime = model_regime(values)
    formula = with_hidden_width(along_n(formula, values), values)
    try:
        yield Rule(scope, quantity, shares(formula, values, regime), flips(formula, "n", values, regime))
    except Undecided:
        return


def predict_model(cost: ModelCost, device: Machine) -> Prediction | None:
    """The time of the model on `device`: every operation of every part, as often as it runs; None for sizes that are
    too large, or where a part was derived for other sizes (an optimizer step).
    """
    try:
        return model_time(cost, device).prediction
    except UserError:
        return None
