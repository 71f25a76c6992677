"""Runs a composed model for real on the CPU: its parameters, its matmul FLOPs and its peak memory."""

from collections.abc import Callable, Sequence
from typing import Any

from oracles.allocator import AllocatorRun
from torch.utils.flop_counter import FlopCounterMode

from tfcost.analysis.model import ModelCost
from tfcost.book import Book, Provenance, TechniqueRecord
from tfcost.config.model import ModelConfig
from tfcost.derive.technique import Technique
from tfcost.measure.model import model_program
from tfcost.measure.plan import model_cases


def record_of(technique: Technique, costs: list[Any]) -> TechniqueRecord:
    """A book's record of `technique` with these costs."""
    return TechniqueRecord(technique.name, technique.title, technique.section, technique.implementation,
                           technique.summary, technique.options, technique.defaults, technique.claims, Provenance(),
                           tuple(costs))  # fmt: skip


class Step:
    """Hooks that mark in the allocator's account where the pass begins."""

    def __init__(self, mark: Callable[[], None]) -> None:
        self.begin = mark

    def end(self) -> None:
        pass

    def left(self, held: Sequence[int]) -> None:
        pass


def run_model(config: ModelConfig, cost: ModelCost, book: Book) -> tuple[int, int, int]:
    """(parameters, matmul FLOPs, peak bytes) of one pass."""
    (case,) = model_cases(config, book, (cost.pass_,))
    program = model_program(case, book, "cpu")
    with AllocatorRun() as run:
        program.run(program.prepare(), Step(run.mark))
    peak = run.phases()[-1][1]
    model = program.prepare()
    with FlopCounterMode(display=False) as counter:
        program.run(model, Step(lambda: None))
    return sum(parameter.numel() for parameter in model.parameters), counter.get_total_flops(), peak


def value_of(cost: ModelCost, name: str) -> int:
    """A quantity of the model at its sizes."""
    return int(cost.quantities[name].exact.evaluate(cost.values))
