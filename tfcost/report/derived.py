"""What `derive FILE.py:FUNCTION` shows: the formulas of a function of the user's, with the line each one comes from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tfcost
from tfcost.analysis.answer import ADDITIVE, added_amounts, total
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.readable import Readable, readable
from tfcost.analysis.regime import Regime
from tfcost.analysis.theta import Theta, theta
from tfcost.cost import Cost, Operation
from tfcost.formula import Formula
from tfcost.quantities import QUANTITIES
from tfcost.report.document import SCHEMA_VERSION
from tfcost.report.page import Cell, Code, Page, Report, Table
from tfcost.report.words import class_cell

_TOTAL_COLUMNS = ("quantity", "class", "formula")
_OPERATION_COLUMNS = ("operation", "formula or source line")


def derived_report(costs: Sequence[Cost]) -> Report:
    """The costs of one function, one per pass, in the symbols of its own sizes."""
    return Report(
        page=lambda: _page(costs),
        document=lambda: {
            "schema_version": SCHEMA_VERSION,
            "command": "derive",
            "tfcost_version": tfcost.__version__,
            "results": [_result(cost) for cost in costs],
        },
        records=lambda: list(_records(costs)),
    )


def _page(costs: Sequence[Cost]) -> Page:
    first = costs[0]
    sizes = ", ".join([*first.symbols, *(f"{name}={size}" for name, size in first.fixed.items())])
    tables = [table for cost in costs for table in (_operation_table(cost), _total_table(cost))]
    notes = dict.fromkeys(text for cost in costs for text in _notes(cost))
    return Page(first.technique, (f"{first.dtypes[0]}, sizes {sizes}",), tuple(tables), tuple(notes))


def _operation_table(cost: Cost) -> Table:
    """Every operation with its line, and what it costs."""
    rows: list[tuple[Cell, ...]] = []
    for operation in cost.operations:
        rows.append((Code(operation.name), Code(f"{operation.location}  {operation.code}".strip())))
        rows += [(f"  {QUANTITIES[name].label}", form.formula) for name, form in _forms(operation)]
    return Table(f"{cost.pass_}: operations", _OPERATION_COLUMNS, tuple(rows))


def _forms(operation: Operation) -> Iterator[tuple[str, Readable]]:
    for name in ADDITIVE:
        if amounts := added_amounts(name, operation.amounts):
            yield name, readable(total(amounts))


def _total_table(cost: Cost) -> Table:
    rows: list[tuple[Cell, ...]] = []
    notes: dict[str, list[str]] = {}
    for name, quantity in cost.quantities.items():
        form = readable(quantity.readable or quantity.exact)
        rows.append((QUANTITIES[name].label, class_cell(_class(quantity.exact, form)), form.formula))
        for condition in filter(None, (quantity.regime, form.regime)):
            notes.setdefault(condition, []).append(QUANTITIES[name].label)
    told = tuple(f"{', '.join(labels)}: the formula shown supposes {what}" for what, labels in notes.items())
    return Table(f"{cost.pass_}: total", _TOTAL_COLUMNS, tuple(rows), told)


def _class(exact: Formula, form: Readable) -> Theta | None:
    """The class of the exact formula, or of the readable one where rounding leaves that open."""
    for formula in (exact, form.formula):
        try:
            return theta(formula, Regime.of())
        except Undecided:
            continue
    return None


def _notes(cost: Cost) -> Iterable[str]:
    yield from (f"Assumes: {text}" for text in cost.assumptions)
    yield from (f"Workspace: {text}" for text in cost.workspace)
    yield from (f"{QUANTITIES[name].label}: {one.note}" for name, one in cost.quantities.items() if one.note)


def _result(cost: Cost) -> dict[str, Any]:
    return {
        "technique": cost.technique,
        "pass": cost.pass_,
        "dtype": cost.dtypes[0],
        "symbols": list(cost.symbols),
        "fixed": dict(cost.fixed),
        "quantities": {
            name: _formula(quantity.exact, quantity.readable) | {"unit": QUANTITIES[name].unit}
            for name, quantity in cost.quantities.items()
        },
        "operations": [
            {
                "name": operation.name,
                "step": operation.step,
                "location": operation.location,
                "code": operation.code,
                "launches": operation.launches,
                "quantities": {name: {"formula": form.formula.text} for name, form in _forms(operation)},
            }
            for operation in cost.operations
        ],
        "assumptions": list(cost.assumptions),
        "workspace": list(cost.workspace),
    }


def _formula(exact: Formula, readable_form: Formula | None) -> dict[str, Any]:
    form = readable(readable_form or exact)
    found = _class(exact, form)
    return {
        "formula": form.formula.text,
        "exact": exact.text,
        "latex": form.formula.latex(),
        "theta": found.text if found else None,
    }


def _records(costs: Iterable[Cost]) -> Iterator[Mapping[str, Any]]:
    for cost in costs:
        for name, quantity in cost.quantities.items():
            about = {"technique": cost.technique, "pass": cost.pass_, "quantity": name, "unit": QUANTITIES[name].unit}
            yield about | _formula(quantity.exact, quantity.readable)
