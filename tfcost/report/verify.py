"""Derived against measured: cells in, the page, the document (`verify.schema.json`) and the flat records out."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import tfcost
from tfcost.check.calibrate import calibrations
from tfcost.check.cells import TIME, Cell, Unmatched
from tfcost.check.rules import RULES
from tfcost.check.summary import Summary, exceeded, exceptions, summarize, totals
from tfcost.check.verify import Verified
from tfcost.evidence.record import Case
from tfcost.quantities import QUANTITIES
from tfcost.report.document import SCHEMA_VERSION
from tfcost.report.page import Amount, Code, Page, Report, Table
from tfcost.report.scaled_time import scaled_document, scaled_note, scaled_row, scaled_table
from tfcost.report.units import human
from tfcost.report.words import case_name, case_text, percent

_TOTALS_COLUMNS = ("quantity", "cells", "equal", "within", "median", "worst", "in")
_SUMMARY_COLUMNS = ("technique", *_TOTALS_COLUMNS)
_CELL_COLUMNS = ("technique", "pass", "quantity", "derived", "measured", "difference", "rule", "case")
_RULE_COLUMNS = ("quantity", "rule", "cells", "within", "why")
_SHOWN = 20

Row = tuple[Code | str, ...]
Detail = Literal["totals", "techniques", "cells"]


def verify_report(verified: Verified, detail: Detail = "techniques") -> Report:
    """The report: totals by quantity alone, or also by technique, or also every cell. But for the totals, cells that
    exceed their tolerance come first, at most 20 of them.
    """
    return Report(
        page=lambda: _page(verified, detail),
        document=lambda: _document(verified),
        records=lambda: [_flat(cell) for cell in verified.cells],
    )


def _page(verified: Verified, detail: Detail) -> Page:
    failed, scaled, brief = exceeded(verified.cells), calibrations(verified.scaled), detail == "totals"
    tables = []
    if failed and not brief:
        tables.append(_cell_table(f"Outside their tolerance: {len(failed)} cells", failed[:_SHOWN]))
    tables.append(_totals_table(totals(verified.cells), [scaled_row(one) for one in scaled[:1]], brief))
    if not brief:
        tables += [_summary_table(summarize(verified.cells)), *scaled_table(scaled), _rule_table(verified.cells)]
    if detail == "cells":
        tables.append(_cell_table("Every cell", verified.cells))
    if verified.unmatched and not brief:
        tables.append(_unmatched_table(verified.unmatched))
    return Page(
        "Derived against measured",
        tuple(line for file in verified.files for line in file.machines),
        tuple(tables),
        (*_notes(verified, failed), *scaled_note(scaled, sum(cell.quantity == TIME for cell in verified.cells))),
    )


def _notes(verified: Verified, failed: Sequence[Cell]) -> Iterable[str]:
    gated = sum(cell.within is not None for cell in verified.cells)
    yield f"{len(verified.cells)} cells, {gated} of them with a tolerance, {gated - len(failed)} within it"
    yield (
        "equal: to the last digit; within: of the cells that have a tolerance; median: of the sizes of the differences "
        "(measured less derived, by derived); worst: of the cells outside their tolerance, if any, else of all"
    )
    for technique, count in verified.stale.items():
        yield f"{technique}: {count} measurements are of other code than its formulas; measure it again"


def _totals_table(summaries: Sequence[Summary], more: Sequence[tuple[str, ...]], brief: bool) -> Table:
    """One row per quantity; `brief` names where the largest difference is by technique, scope and pass alone."""
    rows = [(*_summary_cells(one), _place(one.worst, brief)) for one in summaries]
    return Table("By quantity", _TOTALS_COLUMNS, (*rows, *more))


def _summary_table(summaries: Sequence[Summary]) -> Table:
    rows: list[Row] = []
    for one in summaries:
        where = "" if one.worst.difference == 0 else case_text(one.worst.case, technique=False)
        rows.append((Code(one.technique), *_summary_cells(one), where))
    return Table("By technique", _SUMMARY_COLUMNS, tuple(rows))


def _summary_cells(one: Summary) -> tuple[str, ...]:
    return (
        _label(one.quantity),
        str(one.cells),
        str(one.equal),
        f"{one.within} of {one.gated}" if one.gated else "not gated",
        percent(one.typical),
        percent(one.worst.relative, signed=True),
    )


def _place(cell: Cell, brief: bool) -> str:
    if cell.difference == 0:
        return ""
    return case_name(cell.case) if brief else case_text(cell.case)


def _cell_table(title: str, cells: Sequence[Cell]) -> Table:
    rows = tuple(
        (
            Code(cell.case.technique),
            cell.case.pass_,
            _label(cell.quantity),
            Amount(cell.derived, _unit(cell.quantity)),
            Amount(cell.measured, _unit(cell.quantity)),
            percent(cell.relative, signed=True),
            f"{cell.rule}{_allowance(cell)}",
            case_text(cell.case, technique=False),
        )
        for cell in cells
    )
    return Table(title, _CELL_COLUMNS, rows)


def _allowance(cell: Cell) -> str:
    return f" (± {human(cell.allowed, _unit(cell.quantity))})" if cell.allowed else ""


def _rule_table(cells: Sequence[Cell]) -> Table:
    reasons = {(quantity, rule.name): rule.reason for rule in RULES for quantity in rule.quantities}
    rows = []
    for (quantity, rule), found in exceptions(cells).items():
        gated = [cell for cell in found if cell.within is not None]
        within = f"{sum(cell.within is True for cell in gated)} of {len(gated)}" if gated else "not gated"
        rows.append((_label(quantity), rule, str(len(found)), within, reasons[quantity, rule]))
    return Table("Rules", _RULE_COLUMNS, tuple(rows))


def _unmatched_table(unmatched: Sequence[Unmatched]) -> Table:
    rows = tuple((Code(one.case.technique), one.outcome, case_text(one.case, technique=False), one.reason)
                 for one in unmatched)  # fmt: skip
    return Table("Cases without a cell", ("technique", "outcome", "case", "reason"), rows)


def _label(quantity: str) -> str:
    return "time" if quantity == TIME else QUANTITIES[quantity].label


def _unit(quantity: str) -> str:
    return "s" if quantity == TIME else QUANTITIES[quantity].unit


def _document(verified: Verified) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "verify",
        "tfcost_version": tfcost.__version__,
        "evidence": [
            {"file": file.path.name, "gpu": one.gpu, "driver": one.driver, "cuda": one.cuda, "torch": one.torch,
             "triton": one.triton, "date": one.date}
            for file in verified.files for one in file.evidence.environments
        ],
        "cells": [_cell(cell) for cell in verified.cells],
        "totals": [_summary(one) for one in totals(verified.cells)],
        "summary": [_summary(one) for one in summarize(verified.cells)],
        "rules": [{"name": name, "quantities": [q for rule in RULES if rule.name == name for q in rule.quantities],
                   "reasons": list(dict.fromkeys(rule.reason for rule in RULES if rule.name == name))}
                  for name in dict.fromkeys(rule.name for rule in RULES)],
        "without_cells": [{**_case(one.case), "outcome": one.outcome, "reason": one.reason}
                          for one in verified.unmatched],
        "scaled_time": scaled_document(calibrations(verified.scaled)),
        "stale": dict(verified.stale),
    }  # fmt: skip


def _case(case: Case) -> dict[str, Any]:
    return {"technique": case.technique, "scope": case.scope, "pass": case.pass_, "dtype": case.dtype,
            "options": dict(case.variant), "symbols": dict(case.sizes)}  # fmt: skip


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        **_case(cell.case),
        "quantity": cell.quantity,
        "unit": _unit(cell.quantity),
        "derived": cell.derived,
        "measured": cell.measured,
        "difference": cell.difference,
        "within": cell.within,
        "rule": cell.rule,
        "allowed": cell.allowed,
    }


def _summary(one: Summary) -> dict[str, Any]:
    return {
        "technique": one.technique,
        "quantity": one.quantity,
        "cells": one.cells,
        "equal": one.equal,
        "gated": one.gated,
        "within": one.within,
        "typical_difference": one.typical,
        "worst_difference": one.worst.relative,
        "worst_case": case_text(one.worst.case),
    }


def _flat(cell: Cell) -> dict[str, Any]:
    """The cell with texts where it has mappings."""
    entry = _cell(cell)
    for name in ("options", "symbols"):
        entry[name] = " ".join(f"{key}={value}" for key, value in entry[name].items())
    return entry
