"""Runs of layers: a repeated pattern of parts, and how often each run stands in a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tfcost.analysis.model.algebra import LAYERS, ONE, added, collected, minus, over
from tfcost.analysis.model.part import Part
from tfcost.config.runs import Run as ConfigRun
from tfcost.formula import Formula

Layer = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """`layers`, each a row of parts, `count` times in a row. What stands before and after them is a run of one.

    `stage` is "encoder" or "decoder" where a model has both.
    """

    count: Formula
    layers: tuple[Layer, ...]
    stage: str = ""

    @property
    def parts(self) -> Layer:
        """The parts of one repetition, in order."""
        return tuple(part for layer in self.layers for part in layer)


def single(part: Part, stage: str = "") -> Run:
    """A run of one part."""
    return Run(ONE, ((part,),), stage)


def counts(runs: Sequence[ConfigRun], layers: Formula = LAYERS) -> list[Formula]:
    """How often each run's pattern is repeated: numbers, but for the longest run, which has what is left of L."""
    longest = max(range(len(runs)), key=lambda index: runs[index].count * len(runs[index].pattern))
    others = sum(run.count * len(run.pattern) for index, run in enumerate(runs) if index != longest)
    left = layers if not others else minus(layers, Formula(str(others)))
    width = Formula(str(len(runs[longest].pattern)))
    return [collected(over(left, width)) if index == longest else Formula(str(run.count))
            for index, run in enumerate(runs)]  # fmt: skip


def counted(runs: Sequence[Run]) -> list[Run]:
    """The same runs; every part knows how often it runs in all."""
    found: dict[str, list[Formula]] = {}
    for run in runs:
        for part in run.parts:
            found.setdefault(part.name, []).append(run.count)
    total = {name: each[0] if len(each) == 1 else collected(added(each)) for name, each in found.items()}
    return [replace(run, layers=tuple(tuple(replace(part, count=total[part.name]) for part in layer)
                                      for layer in run.layers)) for run in runs]  # fmt: skip


def distinct(runs: Sequence[Run]) -> list[Part]:
    """Every kind of part once, in order of first appearance."""
    return list({part.name: part for run in runs for part in run.parts}.values())
