"""What runs how often: runs of parts and how a policy divides them in; executions of costs and rows of steps out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfcost.analysis.model.algebra import ONE, ZERO, added, collected, minus, times
from tfcost.analysis.model.chain import Run, distinct
from tfcost.analysis.model.part import Part
from tfcost.analysis.model.training import Stretch
from tfcost.cost import Cost
from tfcost.formula import Formula

AGAIN = " (recomputed)"
BACKWARD = ", backward"


@dataclass(frozen=True, slots=True)
class Execution:
    """One cost of a part, done `count` times in all; `suffix` is added to the names of its steps."""

    part: Part
    cost: Cost
    count: Formula
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One step of one part: `amounts` (keys of `cost.AMOUNTS`), `parameters` of one execution, done `count` times.

    `part` is what reports file it under, `source` the part of the chain that does it.
    """

    part: str
    step: str
    count: Formula
    amounts: Mapping[str, Formula]
    parameters: Formula
    source: str


def executions_of(runs: Sequence[Run], stretches: Sequence[Stretch]) -> list[Execution]:
    """Every part's forward pass; with `stretches` (a training step) its backward pass and what is computed again."""
    found = []
    again, ending = _recomputations(stretches)
    for part in distinct(runs):
        found.append(Execution(part, part.forward, part.count))
        if not stretches:
            continue
        if part.name in again:
            found.append(Execution(part, part.forward, again[part.name], AGAIN))
        left = collected(minus(part.count, ending[part.name])) if part.name in ending else part.count
        if left != ZERO and part.backward is not None:
            found.append(Execution(part, part.backward, left, BACKWARD))
        if part.name in ending and part.recomputed is not None:
            found.append(Execution(part, part.recomputed, ending[part.name], BACKWARD))
    return found


def _recomputations(stretches: Sequence[Stretch]) -> tuple[dict[str, Formula], dict[str, Formula]]:
    """How often each part is computed again as a whole; and how often it is the last of a checkpoint, computed again as
    far as its gradient needs.
    """
    again: dict[str, list[Formula]] = {}
    ending: dict[str, list[Formula]] = {}
    for stretch in stretches:
        for piece in stretch.pieces:
            if not piece.recomputed:
                continue
            ending.setdefault(piece.parts[-1].name, []).append(stretch.count)
            for part in piece.parts:
                whole = times(stretch.count, stretch.repeated)
                count = collected(minus(whole, stretch.count) if part is piece.parts[-1] else whole)
                if count != ZERO:
                    again.setdefault(part.name, []).append(count)
    return _sums(again), _sums(ending)


def _sums(counts: Mapping[str, Sequence[Formula]]) -> dict[str, Formula]:
    return {name: each[0] if len(each) == 1 else collected(added(each)) for name, each in counts.items()}


def rows_of(executions: Sequence[Execution]) -> Iterator[Row]:
    """The steps of all executions. The weights of a part stand with its first step."""
    owned: set[str] = set()
    for one in executions:
        for step in one.cost.steps:
            name = _shown_part(one.part.name, step.name.removesuffix(AGAIN))
            owns = name == one.part.name and name not in owned
            if owns:
                owned.add(name)
            amounts = {amount: one.part.told(formula) for amount, formula in step.amounts.items()}
            suffix = one.suffix if not step.name.endswith(AGAIN) else ""
            yield Row(name, step.name + suffix, one.count, amounts, _weights(one.part, owns),
                      one.part.name)  # fmt: skip


def _weights(part: Part, owns: bool) -> Formula:
    return part.size("parameters") if owns else ZERO


def _shown_part(part: str, step: str) -> str:
    """Norms and losses are told apart from the blocks that they are computed in."""
    return {"norm": "norms", "loss": "loss"}.get(step, part)


def optimizer_rows(optimizer: Part, parameters: Formula) -> Iterator[Row]:
    """The steps of the optimizer, which is derived for N parameters: here the model's number."""
    for step in optimizer.forward.steps:
        amounts = {name: amount.substitute({"N": parameters}) for name, amount in step.amounts.items()}
        yield Row("optimizer", step.name, ONE, amounts, ZERO, optimizer.name)
