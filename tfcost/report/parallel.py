"""What one GPU of a model split over several keeps and exchanges: `ParallelCost` in, tables and a JSON document out."""

from collections.abc import Mapping
from typing import Any

from tfcost.analysis.parallel import Exchange, ParallelCost, Stage
from tfcost.analysis.shown import shown_form
from tfcost.formula import Formula
from tfcost.report.page import Amount, Cell, Table
from tfcost.report.units import grouped

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
        "sizes": dict(cost.parallelism.values),
        "zero": cost.parallelism.zero,
        "stages": [_stage_document(stage, cost.values) for stage in cost.stages],
        "assumptions": list(cost.assumptions),
    }


def _title(text: str, stage: Stage, cost: ParallelCost) -> str:
    return f"{text}, {cost.parallelism.gpus} GPUs{_PLACES[stage.place]}"


def _memory_table(stage: Stage, cost: ParallelCost) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (name, Amount(size.evaluate(cost.values), "B"), _shown(size, cost)) for name, size in stage.memory.items()
    ]
    rows.append(("peak", Amount(stage.highest.evaluate(cost.values), "B"), _shown(stage.highest, cost)))
    notes = (f"at the highest moment: {stage.moment}",)
    return Table(_title("one GPU", stage, cost), _MEMORY_COLUMNS, tuple(rows), notes)


def _exchange_table(stage: Stage, cost: ParallelCost) -> Table:
    rows = [_exchange_row(one, cost) for one in stage.exchanges]
    title = _title("exchanged in a step by one GPU", stage, cost)
    return Table(title, _EXCHANGE_COLUMNS, tuple(rows), ("given: bytes of the buffers that collectives work on",))


def _exchange_row(one: Exchange, cost: ParallelCost) -> tuple[Cell, ...]:
    given, sent = (Amount(size.evaluate(cost.values), "B") for size in (one.bytes, one.sent))
    calls = grouped(one.calls.evaluate(cost.values))
    return one.collective.replace("_", "-"), one.group, calls, given, sent, _shown(one.bytes, cost)


def _shown(formula: Formula, cost: ParallelCost) -> Formula:
    """The form to read."""
    return shown_form(formula, cost.values, {}).formula


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
