"""What `compare` shows of whole models: their quantities side by side, ratios to the first, and crossovers along n."""

from collections.abc import Mapping
from typing import Any

from tfcost.analysis.meetings import TIME
from tfcost.analysis.model import ModelCost
from tfcost.analysis.models import MODEL_QUANTITIES, Models, evaluated, shared_sizes
from tfcost.analysis.predict import Machine, Prediction
from tfcost.config.model import ModelConfig
from tfcost.quantities import QUANTITIES
from tfcost.report.crossovers import crossover_documents, sentences
from tfcost.report.document import assumed, evaluated_document, header, prediction_document
from tfcost.report.page import Amount, Cell, Page, Report, Table
from tfcost.report.records import quantity_records
from tfcost.report.sweep import ratio_text, unit_of
from tfcost.report.units import Value
from tfcost.report.words import sizes_line

SCOPE = "model"

Configs = Mapping[str, ModelConfig]


def models_report(models: Models, configs: Configs, device: Machine) -> Report:
    """The comparison of `models`, described by `configs`; times are predicted on `device`."""
    return Report(
        page=lambda: Page(" vs ".join(configs), model_lines(models.costs, configs), (_table(models),),
                          (*_notes(models), f"predicted time: on {device.label}")),
        document=lambda: model_document(models.costs, models.times, configs) | {
            "crossovers": [d for meeting in models.meetings for d in crossover_documents(meeting, SCOPE)]
        },
        records=lambda: quantity_records(_results(models.costs, models.times, configs)),
    )  # fmt: skip


def model_lines(costs: Mapping[str, ModelCost], configs: Configs, but: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What the models are compared at: pass and dtype, then each one's sizes; those named in `but` are left out."""
    lines = []
    for name, cost in costs.items():
        sizes = {symbol: size for symbol, size in cost.values.items() if symbol not in but}
        causal = "causal " if configs[name].causal else ""
        lines.append(f"{name}: {causal}{configs[name].attention} attention, {cost.dtype}, {sizes_line(sizes)}")
    return (next(iter(costs.values())).pass_, *lines)


def model_document(
    costs: Mapping[str, ModelCost], times: Mapping[str, Prediction | None], configs: Configs
) -> dict[str, Any]:
    """The top of the JSON document and its "results"; "symbols" are the sizes that all models share."""
    first = next(iter(costs.values()))
    symbols = shared_sizes(list(costs.values()))
    return header("compare", first.dtype, symbols) | {"results": _results(costs, times, configs)}


def _results(
    costs: Mapping[str, ModelCost], times: Mapping[str, Prediction | None], configs: Configs
) -> list[dict[str, Any]]:
    return [_result(name, cost, times[name], configs[name]) for name, cost in costs.items()]


def _result(name: str, cost: ModelCost, time: Prediction | None, config: ModelConfig) -> dict[str, Any]:
    quantities = {one: evaluated(cost, one) for one in MODEL_QUANTITIES if one in cost.quantities}
    peak = quantities["peak_bytes"].theta
    return {
        "technique": name,
        "implementation": "torch",
        "scope": SCOPE,
        "pass": cost.pass_,
        "causal": config.causal,
        "options": {"attention": config.attention, **config.attention_options},
        "dtype": cost.dtype,
        "symbols": dict(cost.values),
        "quantities": {one: evaluated_document(found) for one, found in quantities.items()},
        "classes": {"time": None, "space": peak.text if peak else None},
        **({"prediction": prediction_document(time)} if time else {}),
        "steps": [],
        **assumed(cost.assumptions, cost.values),
    }


def _table(models: Models) -> Table:
    first, *others = models.costs
    columns = ("quantity", *models.costs, *(f"{name} / {first}" for name in others))
    rows = [_row(models, one, QUANTITIES[one].label) for one in MODEL_QUANTITIES if _values(models, one)]
    rows.append(_row(models, TIME, "predicted time"))
    return Table("", columns, tuple(rows))


def _row(models: Models, quantity: str, label: str) -> tuple[Cell, ...]:
    values, smallest, unit = _values(models, quantity), models.smallest(quantity), unit_of(quantity)
    first, *others = models.costs
    cells = [Amount(values[name], unit, name in smallest) if name in values else "–" for name in models.costs]
    return (label, *cells, *(ratio_text(values.get(name), values.get(first)) for name in others))


def _values(models: Models, quantity: str) -> dict[str, Value]:
    if quantity == TIME:
        return {name: time.seconds for name, time in models.times.items() if time}
    return {
        name: cost.quantities[quantity].exact.evaluate(cost.values)
        for name, cost in models.costs.items()
        if quantity in cost.quantities
    }


def _notes(models: Models) -> list[str]:
    notes = []
    for quantity in (*MODEL_QUANTITIES, TIME):
        label = "predicted time" if quantity == TIME else QUANTITIES[quantity].label
        notes += [f"{label}: {sentence}" for sentence in sentences(models.meetings, quantity)]
    lengths = {cost.values["n"] for cost in models.costs.values()}
    if len(lengths) > 1:
        notes.append("n is not the same in all of them; --n N sets it")
    return notes
