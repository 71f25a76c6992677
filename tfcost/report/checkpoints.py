"""What an explanation says of a stack that keeps checkpoints: memory by their spacing, and the spacing that is best."""

from fractions import Fraction
from typing import Any

from tfcost.analysis.answer import Answer
from tfcost.analysis.checkpoints import LAYERS, BestSpacing, best_spacing
from tfcost.analysis.shown import shown_form
from tfcost.formula import Formula
from tfcost.formula import tree as t
from tfcost.report.page import Amount, Class, Table
from tfcost.report.units import exact_number

_RULE_COLUMNS = ("what", "value", "class in L", "formula")
_CHOICE_COLUMNS = ("s", "segments", "activations", "peak memory")
_MEANS = (
    "activations: what the backward pass needs beyond the weights before any layer but the running one has gradients",
    "the peak counts weights and their gradients, which pile up while checkpoints go",
)


def spacing_tables(answer: Answer, exact: bool) -> list[Table]:
    """The rule and its values for every s that divides L; no table for what keeps no checkpoints."""
    best = best_spacing(answer.cost, answer.query.values)
    if best is None:
        return []
    shown = shown_form(best.activations, answer.query.values, answer.cost.fixed)
    squared = best.squared if exact else shown_form(best.squared, answer.query.values, answer.cost.fixed).formula
    spacing = Formula.of_tree(t.power(squared.tree, Fraction(1, 2)))
    rule = (
        ("activations", "", "", best.activations if exact else shown.formula),
        ("least at s", f"{best.least:.2f}", Class(best.spacing_class), spacing),
        ("segments then", "", Class(best.segments_class), ""),
        ("activations then", "", Class(best.activations_class), ""),
    )
    notes = [f"activations: the formula shown supposes {shown.regime}"] if shown.regime and not exact else []
    notes.append(f"that s is at least 1 from L = {best.above_one_from} on; below, a checkpoint for every layer is best")
    return [
        Table("A checkpoint every s layers", _RULE_COLUMNS, rule, tuple(notes)),
        Table(f"Every s that divides L = {answer.query.values[LAYERS]}", _CHOICE_COLUMNS, _choices(best), _MEANS),
    ]


def _choices(best: BestSpacing) -> tuple[tuple[str | Amount, ...], ...]:
    activations, peak = (min(getattr(one, name) for one in best.choices) for name in ("activations", "peak"))
    return tuple(
        (
            str(one.spacing),
            str(one.segments),
            Amount(one.activations, "B", one.activations == activations),
            Amount(one.peak, "B", one.peak == peak),
        )
        for one in best.choices
    )


def spacing_document(best: BestSpacing) -> dict[str, Any]:
    """The same for the JSON document."""
    return {
        "activations": best.activations.text,
        "best_spacing_squared": best.squared.text,
        "best_spacing": best.least,
        "above_one_from": best.above_one_from,
        "theta": {
            "spacing": best.spacing_class.pretty(ascii_only=True),
            "segments": best.segments_class.pretty(ascii_only=True),
            "activations": best.activations_class.pretty(ascii_only=True),
        },
        "choices": [
            {
                "s": one.spacing,
                "segments": one.segments,
                "activation_bytes": exact_number(one.activations),
                "peak_bytes": exact_number(one.peak),
            }
            for one in best.choices
        ],
    }
