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
from tfcost.cost import Cost
from tfcost.formula import Formula
from tfcost.formula import tree as t

Sizes = Mapping[str, int]


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


def is_linear_in_cache(formula: Formula) -> bool:
    """Whether `formula`, or every moment that it is the largest of, depends on m by terms of b*m alone, if at all: then
    caches of several lengths add up.
    """
    tree = formula.tree
    moments = tree.arguments if isinstance(tree, t.Call) and tree.function == "Max" else (tree,)
    return all(_adds_up(monomial) for moment in moments for monomial in poly.expand(moment))


def _adds_up(monomial: poly.Monomial) -> bool:
    powers = dict(monomial)
    with_m = [atom for atom in powers if "m" in poly.names({frozenset([(atom, 1)]): 1})]
    return not with_m or (with_m == ["m"] and (powers["m"], powers.get("b")) == (1, 1))


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
