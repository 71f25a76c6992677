"""What `explain` shows: each operation from its source line to its formula, the sums, and what the source claims."""

from collections.abc import Iterable, Sequence
from typing import Any

from tfcost.analysis.answer import Answer, Evaluated, amounts_as_quantities
from tfcost.analysis.claims import CheckedClaim
from tfcost.book import TechniqueRecord
from tfcost.cost import Operation
from tfcost.report.document import answer_document, evaluated_document, header, used_symbols
from tfcost.report.page import Amount, Cell, Code, Page, Report, Table
from tfcost.report.records import quantity_records
from tfcost.report.words import class_cell, conditions, options_text, sizes_line

_STEP_COLUMNS = ("operation", "value", "formula or source line")
_TOTAL_COLUMNS = ("quantity", "value", "class", "formula")
_CLAIM_COLUMNS = ("claim", "stated", "derived", "derived, h = 1", "scope", "agrees")


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
        (*_step_tables(answer, exact), _total_table(answer, exact), *_claims_tables(claims)),
        tuple(_notes(answer, record)),
    )


def _document(answer: Answer, record: TechniqueRecord, claims: Sequence[CheckedClaim]) -> dict[str, Any]:
    result = answer_document(answer) | {"operations": [_operation(one, answer) for one in answer.cost.operations]}
    explanation = {
        "title": record.title,
        "section": record.section,
        "summary": record.summary,
        "workspace": list(answer.cost.workspace),
        "provenance": {"sources": dict(record.provenance.sources), "versions": dict(record.provenance.versions)},
        "claims": [_claim(claim) for claim in claims],
    }
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


def _claims_tables(claims: Sequence[CheckedClaim]) -> list[Table]:
    if not claims:
        return []
    rows = tuple(
        (
            f"{claim.claim.section} {claim.claim.quantity} {claim.claim.step}".rstrip(),
            *map(class_cell, (claim.claimed, claim.derived, claim.one_head)),
            claim.scope,
            "yes" if claim.agrees else "no",
        )
        for claim in claims
    )
    return [Table("What the source document states, and what is derived", _CLAIM_COLUMNS, rows)]


def _notes(answer: Answer, record: TechniqueRecord) -> list[str]:
    notes = [f"Assumes: {text}" for text in answer.cost.assumptions]
    notes += [f"Workspace: {text}" for text in answer.cost.workspace]
    notes += [f"Derived from {path} (SHA-256 {digest[:12]})" for path, digest in record.provenance.sources.items()]
    versions = ", ".join(f"{name} {version}" for name, version in record.provenance.versions.items())
    return [*notes, f"Derived with {versions}"] if versions else notes


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


def _claim(claim: CheckedClaim) -> dict[str, Any]:
    return {
        "section": claim.claim.section,
        "quantity": claim.claim.quantity,
        "step": claim.claim.step,
        "formula": claim.claim.formula.text,
        "quote": claim.claim.quote,
        "scope": claim.scope,
        "claimed": claim.claimed.text if claim.claimed else None,
        "derived": claim.derived.text if claim.derived else None,
        "derived_one_head": claim.one_head.text if claim.one_head else None,
        "agrees": claim.agrees,
    }
