"""What `explain` shows: each operation from its source line to its formula, the sums, and what the source claims."""

from collections.abc import Iterable, Sequence
from typing import Any

from tfcost.analysis.answer import Answer, Evaluated, amounts_as_quantities
from tfcost.analysis.checkpoints import best_spacing
from tfcost.analysis.claims import CheckedClaim
from tfcost.analysis.routing import uneven
from tfcost.analysis.tiling import tile_bound
from tfcost.book import TechniqueRecord
from tfcost.cost import Operation
from tfcost.report.checkpoints import spacing_document, spacing_tables
from tfcost.report.claims import claims_tables, explanation_document, io_document, io_tables, origin_notes
from tfcost.report.document import answer_document, evaluated_document, header, used_symbols
from tfcost.report.page import Amount, Cell, Code, Page, Report, Table
from tfcost.report.records import quantity_records
from tfcost.report.routing import routing_document, routing_tables
from tfcost.report.words import class_cell, conditions, options_text, sizes_line

_STEP_COLUMNS = ("operation", "value", "formula or source line")
_TOTAL_COLUMNS = ("quantity", "value", "class", "formula")


def explain_report(
    answer: Answer, record: TechniqueRecord, claims: Sequence[CheckedClaim], exact: bool = False
) -> Report:
    """The way from the code of one technique to its formulas; `exact`: tables with exact formulas."""
    return Report(
        page=lambda: _page(answer, record, claims, exact),
        document=lambda: _document(answer, record, claims),
        records=lambda: quantity_records([answer_document(answer)]),
    )


def _page(answer: Answer, record: TechniqueRecord, claims: Sequence[CheckedClaim], exact: bool) -> Page:
    query = answer.query
    return Page(
        f"{record.title} ({record.technique}), section {record.section}",
        (
            record.summary,
            f"{query.scope}, {query.pass_}, {query.dtype}, {options_text(answer)}",
            sizes_line(used_symbols([answer])),
        ),
        (
            *_step_tables(answer, exact),
            _total_table(answer, exact),
            *io_tables(answer.cost),
            *spacing_tables(answer, exact),
            *routing_tables(uneven(answer.cost, record.costs, query.values)),
            *claims_tables(claims),
        ),
        tuple(origin_notes(record, answer.cost.assumptions, answer.cost.workspace)),
    )


def _document(answer: Answer, record: TechniqueRecord, claims: Sequence[CheckedClaim]) -> dict[str, Any]:
    result = answer_document(answer) | {"operations": [_operation(one, answer) for one in answer.cost.operations]}
    explanation = explanation_document(record, claims, answer.cost.workspace)
    if (bound := tile_bound(answer.cost)) is not None:
        explanation["io"] = io_document(bound)
    if (spacing := best_spacing(answer.cost, answer.query.values)) is not None:
        explanation["checkpoints"] = spacing_document(spacing)
    if (routing := uneven(answer.cost, record.costs, answer.query.values)) is not None:
        explanation["routing"] = routing_document(routing)
    symbols = used_symbols([answer])
    return header("explain", answer.query.dtype, symbols) | {"results": [result], "explanation": explanation}


def _step_tables(answer: Answer, exact: bool) -> list[Table]:
    """One table per step: its operations, each with its line of code and what it costs, then their sum."""
    tables = []
    for step in answer.steps:
        rows: list[tuple[Cell, ...]] = []
        for operation in answer.cost.operations:
            if operation.step == step.name:
                rows += _operation_rows(operation, answer, exact)
        rows.append((Code("sum"), "", ""))
        rows += _quantity_rows(step.quantities.values(), exact)
        tables.append(Table(step.name or "(no step)", _STEP_COLUMNS, tuple(rows)))
    return tables


def _operation_rows(operation: Operation, answer: Answer, exact: bool) -> list[tuple[Cell, ...]]:
    source = Code(f"{operation.location}  {operation.code}".strip())
    quantities = amounts_as_quantities(operation.amounts, answer.query.values, answer.cost.fixed)
    return [(Code(operation.name), "", source), *_quantity_rows(quantities.values(), exact)]


def _quantity_rows(entries: Iterable[Evaluated], exact: bool) -> list[tuple[Cell, ...]]:
    return [
        (f"  {one.kind.label}", Amount(one.value, one.kind.unit), one.exact if exact else one.formula)
        for one in entries
    ]


def _total_table(answer: Answer, exact: bool) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for entry in answer.quantities.values():
        formula = entry.exact if exact else entry.formula
        amount = Amount(entry.value, entry.kind.unit)
        rows.append((entry.kind.label, amount, class_cell(entry.theta), formula))
    entries = answer.quantities.values()
    notes = [] if exact else conditions((entry.kind.label, entry) for entry in entries)
    notes += [f"{entry.kind.label}: {entry.note}" for entry in entries if entry.note]
    return Table("Total", _TOTAL_COLUMNS, tuple(rows), tuple(notes))


def _operation(operation: Operation, answer: Answer) -> dict[str, Any]:
    quantities = amounts_as_quantities(operation.amounts, answer.query.values, answer.cost.fixed)
    return {
        "name": operation.name,
        "step": operation.step,
        "location": operation.location,
        "code": operation.code,
        "launches": operation.launches,
        "quantities": {name: evaluated_document(entry) for name, entry in quantities.items()},
    }
