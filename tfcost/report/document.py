"""The JSON document of a result, `schema_version` 1: the parts that `analyze`, `compare` and `explain` share.

`result.schema.json` beside this file describes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tfcost
from tfcost.analysis.answer import Answer, Evaluated
from tfcost.analysis.conditions import inexact
from tfcost.analysis.predict import Prediction
from tfcost.analysis.query import Costed
from tfcost.report.units import exact_number
from tfcost.symbols import SYMBOLS

SCHEMA_VERSION = 1


def header(command: str, dtype: str, symbols: Mapping[str, int]) -> dict[str, Any]:
    """The top of every document: what was asked, by which version, at which sizes, with which conventions."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "tfcost_version": tfcost.__version__,
        "symbols": {name: symbols[name] for name in SYMBOLS if name in symbols},
        "conventions": {"fma_flops": 2, "window": "causal: w+1 keys", "dtype": dtype},
    }


def used_symbols(answers: Iterable[Costed]) -> dict[str, int]:
    """The sizes that the answers depend on, and d."""
    answers = list(answers)
    used = {"d"}.union(*((*answer.cost.symbols, *answer.cost.fixed) for answer in answers))
    return {name: size for answer in answers for name, size in answer.query.values.items() if name in used}


def answer_document(answer: Answer, prediction: Prediction | None = None) -> dict[str, Any]:
    """One element of "results"."""
    query = answer.query
    return {
        "technique": query.technique,
        "implementation": answer.cost.implementation,
        "scope": query.scope,
        "pass": query.pass_,
        "causal": bool(query.options.get("causal", False)),
        "options": dict(query.options),
        "dtype": query.dtype,
        "quantities": {name: evaluated_document(entry) for name, entry in answer.quantities.items()},
        "classes": {
            "time": answer.time.text if answer.time else None,
            "space": answer.space.text if answer.space else None,
        },
        **({"prediction": prediction_document(prediction)} if prediction else {}),
        "steps": [
            {"name": step.name, "quantities": {name: evaluated_document(one) for name, one in step.quantities.items()}}
            for step in answer.steps
        ],
        **assumed(answer.cost.assumptions, query.values),
    }


def assumed(assumptions: Sequence[str], values: Mapping[str, int]) -> dict[str, Any]:
    """What a result assumes and, if anything, why its formulas are not exact at `values`."""
    reasons = inexact(assumptions, values)
    return {"assumptions": list(assumptions), **({"inexact": reasons} if reasons else {})}


def evaluated_document(entry: Evaluated) -> dict[str, Any]:
    """One quantity: readable and exact formula, LaTeX, class, value, unit, provenance."""
    document: dict[str, Any] = {
        "formula": entry.formula.text,
        "exact": entry.exact.text,
        "latex": entry.formula.latex(),
        "theta": entry.theta.text if entry.theta else None,
        "value": exact_number(entry.value),
        "unit": entry.kind.unit,
    }
    optional = {
        "provenance": entry.provenance,
        "formula_holds_for": entry.shown_under,
        "theta_regime": entry.theta.regime if entry.theta else "",
        "note": entry.note,
    }
    return document | {name: text for name, text in optional.items() if text}


def prediction_document(prediction: Prediction) -> dict[str, Any]:
    """A predicted time in seconds, the device it is for, what bounds it and how much of the time each resource has."""
    return {
        "seconds": prediction.seconds,
        "device": prediction.device,
        "bound": prediction.bound,
        "shares": dict(prediction.shares),
    }
