"""Runs a composed model for real on the CPU: its parameters, its matmul FLOPs and its peak memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oracles.allocator import AllocatorRun
from torch.utils.flop_counter import FlopCounterMode

from tfcost.analysis.model import ModelCost, compose
from tfcost.book import Book, Provenance, TechniqueRecord, write_record
from tfcost.config.load import make_config
from tfcost.config.model import ModelConfig
from tfcost.derive.costs import derive_variant
from tfcost.derive.discovery import techniques
from tfcost.derive.technique import Technique
from tfcost.measure.model import model_program
from tfcost.measure.plan import model_cases


def derive_for_the_cpu(folder: Path, wanted: Mapping[str, Sequence[Mapping[str, Any]]]) -> Book:
    """A book of the techniques `wanted`, each with the variants that have all options of one of its mappings; in
    float32, without a GPU's workspace.
    """
    for name, choices in wanted.items():
        technique = techniques()[name]
        found = [v for v in technique.variants() if "float32" in v.dtypes and _chosen(v.options, v.scope, choices)]
        costs = [c for v in found for c in derive_variant(technique, replace(v, dtypes=("float32",)), "cpu")]
        write_record(record_of(technique, costs), folder)
    return Book(folder)


def _chosen(options: Mapping[str, object], scope: str, choices: Sequence[Mapping[str, Any]]) -> bool:
    return scope in ("block", "part") and any(choice.items() <= options.items() for choice in choices)


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


# Every operation with a number keeps it for backward as a tensor of 8 bytes, which on a GPU lies on the host.
_NUMBERS, _FEW = 32, 64
_FLOAT = 4


def check_whole(fields: Mapping[str, Any], pass_: str, book: Book) -> None:
    """Asserts that the composed model costs what running it as a whole does."""
    config = make_config(fields, book.names)
    cost = compose(config, book, pass_=pass_)
    parameters, flops, peak = run_model(config, cost, book)
    assert value_of(cost, "matmul_flops") == flops
    # An encoder's weights are there while the decoder takes a step, but what runs here is the decoder alone.
    idle = int(cost.parameters.evaluate(cost.values)) - parameters
    assert idle == 0 or (pass_ == "decode" and config.encoder is not None and idle > 0)
    # Sorting tokens by expert lets go of some indices a moment earlier or later than a trace sees: 0.1 %.
    few = peak // 1000 if config.moe is not None else _FEW + _NUMBERS * config.L
    assert abs(value_of(cost, "peak_bytes") - idle * _FLOAT - peak) <= few, cost.peak_moment
