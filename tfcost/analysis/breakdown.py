"""A model's cost broken down: a `ModelCost` in; per step, per part, for one layer and for the whole model the values,
shares and classes out, and which term rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tfcost.analysis import polynomial as poly
from tfcost.analysis.answer import ADDITIVE, Evaluated, added_amounts, evaluate, time_class, total
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.devices import Device
from tfcost.analysis.dominance import Flip, Share, flips, shares
from tfcost.analysis.model import ONE, ModelCost, Row
from tfcost.analysis.predict import Prediction, predict
from tfcost.analysis.shown import along_n, model_regime, with_hidden_width
from tfcost.analysis.theta import Theta
from tfcost.cost import Cost, Operation
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
    theta: Theta | None

    @property
    def total(self) -> Evaluated:
        """All executions together."""
        if self.count == ONE:
            return self.each
        exact, formula = times(self.count, self.each.exact), _product(self.count, self.each.formula)
        return replace(self.each, exact=exact, formula=formula, value=self.value, theta=self.theta)


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
    """A whole model: its parts, one layer, the totals, and the classes of its time and memory."""

    cost: ModelCost
    parts: tuple[PartView, ...]
    layer: Mapping[str, Entry]
    quantities: Mapping[str, Evaluated]
    time: Theta | None
    space: Theta | None
    rules: tuple[Rule, ...]


def break_down(cost: ModelCost) -> Breakdown:
    """Evaluates `cost` at its sizes."""
    values = cost.values
    quantities = {
        name: evaluate(
            name, one.exact, values, fixed={}, readable=one.readable, readable_under=one.regime,
            provenance=one.provenance, note=one.note,
        )
        for name, one in cost.quantities.items()
    }  # fmt: skip
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in cost.rows:
        rows.setdefault((row.part, row.count.text), []).append(row)
    parts = tuple(_part(part_rows, quantities, values) for part_rows in rows.values())
    layer = _entries([row for row in cost.rows if row.count != ONE], quantities, values)
    arithmetic = [cost.quantities[name].exact for name in ("matmul_flops", "scalar_flops")]
    return Breakdown(
        cost,
        parts,
        layer,
        quantities,
        time=time_class(arithmetic, values, {}),
        space=quantities["peak_bytes"].theta,
        rules=tuple(_rules(layer, quantities, values)),
    )


def _part(rows: Sequence[Row], totals: Mapping[str, Evaluated], values: Mapping[str, int]) -> PartView:
    """The part that `rows` are the steps of, all done equally often."""
    name = rows[0].part
    steps = tuple(StepView(name, row.step, row.count, _entries([row], totals, values)) for row in rows)
    weights = total([times(row.count, row.parameters) for row in rows])
    parameters = evaluate("parameters", weights, values, fixed={})
    return PartView(name, rows[0].count, steps, _entries(rows, totals, values), parameters)


def _entries(rows: Sequence[Row], totals: Mapping[str, Evaluated], values: Mapping[str, int]) -> dict[str, Entry]:
    """The sums of `rows`, which are all done equally often, in every additive quantity that they have."""
    entries = {}
    for name in ADDITIVE:
        formulas = [amount for row in rows for amount in added_amounts(name, row.amounts)]
        if formulas:
            each = evaluate(name, total(formulas), values, fixed={})
            value = each.value * rows[0].count.evaluate(values)
            share = Fraction(value) / totals[name].value if totals[name].value else Fraction(0)
            entries[name] = Entry(each, rows[0].count, value, share, _class_of_all(rows[0].count, each.theta))
    return entries


def _class_of_all(count: Formula, theta: Theta | None) -> Theta | None:
    """The class of `count` executions: the count does not depend on what the class depends on."""
    return theta and replace(theta, formula=_product(count, theta.formula), leading=None)


def _product(count: Formula, formula: Formula) -> Formula:
    return poly.to_formula(poly.expand(times(count, formula).tree))


def times(count: Formula, formula: Formula) -> Formula:
    """`formula`, `count` times."""
    return formula if count == ONE else Formula.of_tree(t.multiply([count.tree, formula.tree]))


def _rules(layer: Mapping[str, Entry], totals: Mapping[str, Evaluated], values: Mapping[str, int]) -> Iterable[Rule]:
    """The ruling terms of the matrix products and of the memory traffic of a layer, and of the whole model."""
    for name in ("matmul_flops", "issued_bytes"):
        if name in layer:
            yield from _rule("layer", name, layer[name].each.formula, values)
    for name in ("matmul_flops", "peak_bytes"):
        yield from _rule("model", name, totals[name].formula, values)


def _rule(scope: str, quantity: str, formula: Formula, values: Mapping[str, int]) -> Iterable[Rule]:
    """The rule, unless the formula is still rounded in n."""
    regime = model_regime(values)
    formula = with_hidden_width(along_n(formula, values), values)
    try:
        yield Rule(scope, quantity, shares(formula, values, regime), flips(formula, "n", values, regime))
    except Undecided:
        return


def predict_model(cost: ModelCost, device: Device) -> Prediction | None:
    """The time of the model on `device`, each step as one roofline, launches not counted; None for sizes too large."""
    operations = [
        Operation(f"{row.part}: {row.step}", row.step, "", "", _all(row.amounts, row.count), launches=0)
        for row in cost.rows
    ]
    whole = Cost("model", "torch", "model", cost.pass_, (cost.dtype,), {}, {}, (), {}, (), operations)
    try:
        return predict(whole, cost.values, device, cost.dtype)
    except UserError:
        return None


def _all(amounts: Mapping[str, Formula], count: Formula) -> dict[str, Formula]:
    return {name: times(count, amount) for name, amount in amounts.items()}
