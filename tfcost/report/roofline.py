"""How a report shows the predicted time of a model: step by step, what bounds it, how much of the machine is used."""

from typing import Any

from tfcost.analysis.roofline import ModelTime, StepTime
from tfcost.report.document import prediction_document
from tfcost.report.page import Amount, Cell, Table
from tfcost.report.units import human

_COLUMNS = ("part", "step", "times", "each", "all", "share", "bound by")


def roofline_table(time: ModelTime) -> Table:
    """Every step with its time and bound, then the model; below, how much of the machine is used."""
    seconds = time.prediction.seconds
    rows: list[tuple[Cell, ...]] = [_row(step, seconds) for step in time.steps]
    rows.append(("model", "", "", "", Amount(seconds, "s"), "100 %", _model_bound(time)))
    peak, bandwidth = human(time.peak, "FLOP"), f"{time.bandwidth / 1e12:.4g} TB"
    notes = [
        f"MFU {time.mfu:.1%} (model FLOPs {human(time.model_flops, 'FLOP')} over {peak}/s and the time); "
        f"with all issued matrix FLOPs {time.hfu:.1%}",
        f"bandwidth use {time.bandwidth_use:.1%} of {bandwidth}/s",
        *time.prediction.lacks,
    ]
    return Table(f"time on {time.label}, a prediction", _COLUMNS, tuple(rows), tuple(notes))


def _row(step: StepTime, whole: float) -> tuple[Cell, ...]:
    each, share = step.seconds / float(step.count), step.seconds / whole if whole else 0.0
    times = str(step.count)
    return step.part, step.name, times, Amount(each, "s"), Amount(step.seconds, "s"), f"{share:.1%}", step.bound


def _model_bound(time: ModelTime) -> str:
    shares = time.prediction.shares
    spent = {"compute": shares["matmul"] + shares["scalar"], "memory": shares["memory"], "launch": shares["launch"]}
    bound = max(spent, key=lambda name: spent[name])
    return f"{bound} ({spent[bound]:.0%} of the time)"


def time_document(time: ModelTime | str) -> dict[str, Any]:
    """The keys of a model's result about its time; why there is none, if there is none."""
    if isinstance(time, str):
        return {"no_prediction": time}
    steps = [
        {"part": step.part, "name": step.name, "count": int(step.count), "seconds": step.seconds, "bound": step.bound}
        for step in time.steps
    ]
    used = {"mfu": time.mfu, "hfu": time.hfu, "bandwidth_use": time.bandwidth_use}
    return {
        "prediction": prediction_document(time.prediction)
        | {"model_flops": float(time.model_flops), **used, "steps": steps, "lacks": list(time.prediction.lacks)}
    }
