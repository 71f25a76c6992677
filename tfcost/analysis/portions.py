"""A cost cut up by steps: which of them are done for all tokens of a batch at once, and what a set of calls costs.

A step is token-wise if its amounts depend on b and n by their product alone: a matrix product with weights, a norm. Run
on sequences one after another in one row, it costs what it costs on one sequence of all their tokens.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tfcost.analysis import polynomial as poly
from tfcost.analysis.answer import added_amounts
from tfcost.analysis.polynomial import Exact
from tfcost.analysis.predict import Machine, predict
from tfcost.cost import Cost, Quantity
from tfcost.formula import Formula
from tfcost.formula import tree as t

Sizes = Mapping[str, Exact]


@dataclass(frozen=True, slots=True)
class Portion:
    """Some steps of a cost, run once per element of `calls` (the sizes of each), all of that `count` times."""

    cost: Cost
    calls: tuple[Sizes, ...]
    count: Exact = 1


def portion(cost: Cost, steps: Collection[str], calls: Iterable[Sizes], count: Exact = 1) -> Portion:
    """The `steps` of `cost`, by name, at the sizes of `calls`."""
    kept = replace(
        cost,
        steps=tuple(step for step in cost.steps if step.name in steps),
        operations=tuple(operation for operation in cost.operations if operation.step in steps),
    )
    return Portion(kept, tuple(calls), count)


def ragged_call(cost: Cost, steps: Collection[str], calls: Sequence[Sizes], count: Exact = 1) -> Portion:
    """The same `steps` for sequences of the sizes `calls`, each operation launched once for all of them."""

    def summed(amounts: Mapping[str, Formula]) -> dict[str, Formula]:
        return {name: _constant(sum(formula.evaluate(one) for one in calls)) for name, formula in amounts.items()}

    kept = portion(cost, steps, calls[:1], count)
    unique = {name: one.exact for name, one in cost.quantities.items() if name == "unique_bytes"}
    merged = replace(
        kept.cost,
        steps=tuple(replace(step, amounts=summed(step.amounts)) for step in kept.cost.steps),
        operations=tuple(replace(one, amounts=summed(one.amounts)) for one in kept.cost.operations),
        quantities={name: Quantity(formula, "summed") for name, formula in summed(unique).items()},
    )
    return replace(kept, cost=merged)


def _constant(value: Exact) -> Formula:
    return Formula.of_tree(t.Number(t.exact(value)))


def names_of(cost: Cost) -> list[str]:
    """The steps of a cost, by name."""
    return [step.name for step in cost.steps]


def steps_where(cost: Cost, holds: Callable[[Formula], bool]) -> list[str]:
    """The steps all of whose amounts meet a condition."""
    return [step.name for step in cost.steps if all(map(holds, step.amounts.values()))]


def is_token_wise(formula: Formula) -> bool:
    """Whether `formula`, with as many keys as queries, depends on b and n by b*n alone."""
    square = formula.substitute({"m": "n"})
    return _multiplied_out(square) == _multiplied_out(square.substitute({"b": 1, "n": "b*n"}))


def _multiplied_out(formula: Formula) -> str:
    return poly.to_formula(poly.expand(formula.tree)).text


def amount(portions: Sequence[Portion], quantity: str) -> Exact:
    """An additive quantity of all calls of all portions."""
    total: Exact = 0
    for one in portions:
        formulas = [formula for step in one.cost.steps for formula in added_amounts(quantity, step.amounts)]
        total += one.count * sum(formula.evaluate(sizes) for formula in formulas for sizes in one.calls)
    return total


def seconds(portions: Sequence[Portion], device: Machine, dtype: str) -> float:
    """The predicted time of all calls of all portions, one after another. UserError as `predict` raises it."""
    return sum(
        float(one.count) * predict(one.cost, sizes, device, dtype).seconds for one in portions for sizes in one.calls
    )
