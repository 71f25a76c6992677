"""What one GPU of a model split over several keeps and exchanges: `ParallelCost` in, tables and a JSON document out."""

from collections.abc import Mapping
from typing import Any

from tfcost.analysis.parallel import Exchange, ParallelCost, Stage
from tfcost.formula import Formula
from tfcost.report.page import Amount, Cell, Table

_MEMORY_COLUMNS = ("memory of one GPU", "value", "formula")
_EXCHANGE_COLUMNS = ("collective", "over", "calls", "given", "sent on a ring", "formula of given")
_PLACES = {"only": "", "first": ", first stage", "second": ", stage between", "last": ", last stage"}


def parallel_tables(cost: ParallelCost) -> list[Table]:
    """Memory by category and exchanges by collective, for every kind of stage."""
    tables = []
    for stage in cost.stages:
        tables += [_memory_table(stage, cost), _exchange_table(stage, cost)]
    return tables


def parallel_document(cost: ParallelCost) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "gpus": cost.parallelism.gpus,
        "sizes": {name: value for name, value in cost.parallelism.values.items()},
        "zero": cost.parallelism.zero,
        "stages": [_stage_document(stage, cost.values) for stage in cost.stages],
        "assumptions": list(cost.assumptions),
    }


def _title(text: str, stage: Stage, cost: ParallelCost) -> str:
    return f"{text}, {cost.parallelism.gpus} GPUs{_PLACES[stage.place]}"


def _memory_table(stage: Stage, cost: ParallelCost) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (name, Amount(size.evaluate(cost.values), "B"), size) for name, size in stage.memory.items()
    ]
    rows.append(("peak", Amount(stage.highest.evaluate(cost.values), "B"), stage.highest))
    notes = [f"the peak is at: {stage.moment}"]
    if cost.parallelism.micro_batches > 1:
        notes.append("the peak counts a part's new gradients beside all sums, at most that much")
    return Table(_title("one GPU", stage, cost), _MEMORY_COLUMNS, tuple(rows), tuple(notes))


def _exchange_table(stage: Stage, cost: ParallelCost) -> Table:
    rows = [_exchange_row(one, cost.values) for one in stage.exchanges]
    title = _title("exchanged in a step by one GPU", stage, cost)
    return Table(title, _EXCHANGE_COLUMNS, tuple(rows), ("given: bytes of the buffers that collectives work on",))


def _exchange_row(one: Exchange, values: Mapping[str, int]) -> tuple[Cell, ...]:
    given, sent = (Amount(size.evaluate(values), "B") for size in (one.bytes, one.sent))
    return one.collective.replace("_", "-"), one.group, str(one.calls.evaluate(values)), given, sent, one.bytes


def _stage_document(stage: Stage, values: Mapping[str, int]) -> dict[str, Any]:
    return {
        "stage": stage.place,
        "memory": {name: _size(size, values) for name, size in stage.memory.items()},
        "peak_bytes": _size(stage.highest, values) | {"exact": stage.peak.text, "moment": stage.moment},
        "parameters": _size(stage.parameters, values),
        "matmul_flops": _size(stage.matmul_flops, values),
        "communication": [
            {
                "collective": one.collective,
                "group": one.group,
                "calls": _size(one.calls, values),
                "bytes": _size(one.bytes, values),
                "ring_bytes": _size(one.sent, values),
            }
            for one in stage.exchanges
        ],
    }


def _size(formula: Formula, values: Mapping[str, int]) -> dict[str, Any]:
    value = formula.evaluate(values)
    return {"formula": formula.text, "value": int(value) if value == int(value) else float(value)}
