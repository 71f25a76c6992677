"""What `analyze` shows: every step of every part, one layer, the whole model, its weights and what rules its cost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from tfcost.analysis.answer import ADDITIVE, Evaluated
from tfcost.analysis.breakdown import Breakdown, Entry, LayerView, PartView
from tfcost.analysis.claims import CheckedClaim
from tfcost.analysis.parallel import ParallelCost
from tfcost.analysis.roofline import ModelTime
from tfcost.book import TechniqueRecord
from tfcost.config.model import ModelConfig
from tfcost.formula import Formula
from tfcost.quantities import QUANTITIES
from tfcost.report.claims import claims_tables, explanation_document, origin_notes
from tfcost.report.document import assumed, evaluated_document, header
from tfcost.report.memory import memory_document, memory_tables
from tfcost.report.page import Amount, Cell, Page, Report, Table
from tfcost.report.parallel import parallel_document, parallel_tables
from tfcost.report.records import quantity_records
from tfcost.report.roofline import roofline_table, time_document
from tfcost.report.rules import rule_document, rule_sentences
from tfcost.report.units import grouped, percent
from tfcost.report.words import class_cell, conditions, sizes_line

Explained = tuple[TechniqueRecord, Sequence[CheckedClaim]]

_STEP_COLUMNS = ("step", "times", "each", "all", "share", "class of all", "formula of one")
_TOTAL_COLUMNS = ("quantity", "value", "class", "formula")
_WEIGHT_COLUMNS = ("part", "weights", "share", "formula")


def analyze_report(
    model: Breakdown,
    config: ModelConfig,
    time: ModelTime | str,
    explained: Explained | None = None,
    exact: bool = False,
    split: ParallelCost | None = None,
) -> Report:
    """The analysis of the model that `config` describes, with its `time` or why there is none, and with what is
    `explained` about transformers as such added; `exact`: tables with exact formulas; `split`: one GPU of several.
    """
    return Report(
        page=lambda: _with_tables(_page(model, config, time, explained, exact), split),
        document=lambda: (
            _document(model, config, time, explained) | ({"parallelism": parallel_document(split)} if split else {})
        ),
        records=lambda: quantity_records(_results(model, config, time)),
    )


def _with_tables(page: Page, split: ParallelCost | None) -> Page:
    """The page with what one GPU of several keeps and exchanges."""
    return replace(page, tables=(*page.tables, *parallel_tables(split))) if split else page


def _page(
    model: Breakdown, config: ModelConfig, time: ModelTime | str, explained: Explained | None, exact: bool
) -> Page:
    cost = model.cost
    lines = (f"{cost.pass_}, {cost.dtype}, {_description(config)}", sizes_line(cost.values))
    tables = [_step_table(name, model, exact) for name in ADDITIVE if name in model.layers[0].entries]
    tables += [_total_table(model, time, exact), *memory_tables(model, exact), _weights_table(model, config, exact)]
    if not isinstance(time, str):
        tables.append(roofline_table(time))
    notes = [sentence for rule in model.rules for sentence in rule_sentences(rule, cost.values["n"])]
    if explained is None:
        notes += [f"Assumes: {text}" for text in cost.assumptions] + [f"Workspace: {text}" for text in cost.workspace]
        return Page(cost.name, lines, tuple(tables), tuple(notes))
    record, claims = explained
    notes += origin_notes(record, cost.assumptions, cost.workspace)
    title = f"{record.title} ({record.technique}), section {record.section}"
    return Page(title, (record.summary, *lines), (*tables, *claims_tables(claims)), tuple(notes))


def _document(
    model: Breakdown, config: ModelConfig, time: ModelTime | str, explained: Explained | None
) -> dict[str, Any]:
    cost, weights = model.cost, model.quantities["parameters"]
    document = header("explain" if explained else "analyze", cost.dtype, cost.values) | {
        "model": cost.name,
        "results": _results(model, config, time),
        "parameters": {"formula": weights.formula.text, "value": weights.value},
        "dominance": [rule_document(rule) for rule in model.rules],
    }
    if explained:
        document["explanation"] = explanation_document(*explained, cost.workspace)
    return document


def _results(model: Breakdown, config: ModelConfig, time: ModelTime | str) -> list[dict[str, Any]]:
    """The whole model, one layer of each kind, and every part."""
    layers = [_layer_result(layer, model, config) for layer in model.layers]
    parts = [_part_result(part, model, config) for part in model.parts]
    return [_model_result(model, config, time), *layers, *parts]


def _description(config: ModelConfig) -> str:
    """What the layers are made of: "causal standard attention with biases, gelu, norm pre, head tied"."""
    attention = f"{'causal ' if config.causal else ''}{config.attention} attention"
    options = [f"{name}={value}" for name, value in config.attention_options.items()]
    return ", ".join([attention, *options, f"ffn {config.ffn}", f"norm {config.norm}", f"head {config.head}"])


def _step_table(quantity: str, model: Breakdown, exact: bool) -> Table:
    """Every part with its steps, then one layer and the whole model."""
    rows: list[tuple[Cell, ...]] = []
    noted: dict[str, Evaluated] = {}
    for part in model.parts:
        if quantity in part.entries:
            rows.append(_row(part.name, part.entries[quantity], exact))
            steps = [step for step in part.steps if quantity in step.entries]
            rows += [_row(f"  {step.name}", step.entries[quantity], exact) for step in steps if len(part.steps) > 1]
            noted[part.name] = part.entries[quantity].each
    for layer in model.layers:
        if quantity in layer.entries:
            rows.append(_row(_layer_name(layer, model), layer.entries[quantity], exact))
    whole = model.quantities[quantity]
    formula = whole.exact if exact else whole.formula
    rows.append(("model", "", "", Amount(whole.value, whole.kind.unit), "100 %", class_cell(whole.theta), formula))
    notes = [] if exact else conditions(noted.items())
    return Table(QUANTITIES[quantity].label, _STEP_COLUMNS, tuple(rows), tuple(notes))


def _row(name: str, entry: Entry, exact: bool) -> tuple[Cell, ...]:
    unit = entry.each.kind.unit
    return (
        name,
        entry.count.text,
        Amount(entry.each.value, unit),
        Amount(entry.value, unit),
        percent(entry.share),
        class_cell(entry.theta),
        entry.each.exact if exact else entry.each.formula,
    )


def _total_table(model: Breakdown, time: ModelTime | str, exact: bool) -> Table:
    """What does not add up over steps: memory; and the classes of time and space, and the predicted time."""
    entries = [entry for name, entry in model.quantities.items() if name not in (*ADDITIVE, "parameters")]
    rows: list[tuple[Cell, ...]] = [
        (one.kind.label, Amount(one.value, one.kind.unit), class_cell(one.theta), one.exact if exact else one.formula)
        for one in entries
    ]
    if isinstance(time, str):
        rows.append(("time", "", class_cell(model.time), f"no prediction: {time}"))
    else:
        bound = f"on {time.prediction.device}, a prediction; bound by {time.prediction.bound}"
        rows.append(("time", Amount(time.prediction.seconds, "s"), class_cell(model.time), bound))
    notes = [f"{entry.kind.label}: {entry.note}" for entry in entries if entry.note]
    notes += [] if exact else conditions((entry.kind.label, entry) for entry in entries)
    return Table("memory and time of the model", _TOTAL_COLUMNS, tuple(rows), tuple(notes))


def _weights_table(model: Breakdown, config: ModelConfig, exact: bool) -> Table:
    whole = model.quantities["parameters"]
    tied = config.head == "tied"
    rows: list[tuple[Cell, ...]] = []
    for part in model.parts:
        if part.parameters.value and not (tied and part.name == "head"):
            rows.append(_weights(part.name, part.parameters, whole, exact))
    rows.append(_weights("model", whole, whole, exact))
    notes = ("the head uses the table of the embedding",) if tied else ()
    return Table("parameters", _WEIGHT_COLUMNS, tuple(rows), notes)


def _weights(name: str, own: Evaluated, whole: Evaluated, exact: bool) -> tuple[Cell, ...]:
    share = percent(Fraction(own.value) / whole.value) if whole.value else ""
    return name, grouped(own.value), share, own.exact if exact else own.formula


def _model_result(model: Breakdown, config: ModelConfig, time: ModelTime | str) -> dict[str, Any]:
    """The whole model, its steps with what all their executions cost."""
    steps = [_step(step.name, part.name, step.count, step.entries) for part in model.parts for step in part.steps]
    classes = {"time": model.time.text if model.time else None, "space": model.space.text if model.space else None}
    return _result(config.name, "model", model, config) | {
        "quantities": {name: evaluated_document(entry) for name, entry in model.quantities.items()},
        "classes": classes,
        **time_document(time),
        **memory_document(model),
        "steps": steps,
        "workspace": list(model.cost.workspace),
    }


def _layer_name(layer: LayerView, model: Breakdown) -> str:
    return "one layer" if len(model.layers) == 1 else f"one layer: {', '.join(layer.parts)}"


def _layer_result(layer: LayerView, model: Breakdown, config: ModelConfig) -> dict[str, Any]:
    """One layer; its name is the model's, with its parts where there are several kinds."""
    name = config.name if len(model.layers) == 1 else f"{config.name}: {', '.join(layer.parts)}"
    quantities = {name: evaluated_document(entry.each) for name, entry in layer.entries.items()}
    return _result(name, "layer", model, config) | {"quantities": quantities, "steps": []}


def _part_result(part: PartView, model: Breakdown, config: ModelConfig) -> dict[str, Any]:
    """All executions of a part."""
    quantities = {
        name: evaluated_document(entry.total) | {"share": float(entry.share)} for name, entry in part.entries.items()
    }
    if part.parameters.value:
        quantities["parameters"] = evaluated_document(part.parameters)
    return _result(part.name, "part", model, config) | {"quantities": quantities, "steps": []}


def _result(name: str, scope: str, model: Breakdown, config: ModelConfig) -> dict[str, Any]:
    return {
        "technique": name,
        "implementation": "torch",
        "scope": scope,
        "pass": model.cost.pass_,
        "causal": config.causal,
        "options": {"attention": config.attention, **config.attention_options},
        "dtype": model.cost.dtype,
        "quantities": {},
        "classes": {"time": None, "space": None},
        "steps": [],
        **assumed(model.cost.assumptions, model.cost.values),
    }


def _step(name: str, part: str, count: Formula, entries: Mapping[str, Entry]) -> dict[str, Any]:
    return {
        "name": name,
        "part": part,
        "count": count.text,
        "quantities": {
            quantity: evaluated_document(entry.total) | {"share": float(entry.share)}
            for quantity, entry in entries.items()
        },
    }
