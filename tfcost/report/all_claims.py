"""Every statement of the source document beside what the derivation says."""

from typing import Any

import tfcost
from tfcost.analysis.claims import CheckedClaim, check_by_default
from tfcost.book import Book, TechniqueRecord
from tfcost.report.claims import claim_cells, claim_document
from tfcost.report.document import SCHEMA_VERSION
from tfcost.report.page import Code, Page, Report, Table

_COLUMNS = ("section", "technique", "the document", "stated", "derived", "derived, h = 1", "scope", "verdict")


def claims_report(book: Book) -> Report:
    """One row per claim, in the order of the document's sections; techniques as they are by default."""
    records = sorted(book.techniques.values(), key=lambda record: (record.section, record.technique))
    checked = [(record, claim) for record in records for claim in check_by_default(record, book)]
    checked.sort(key=lambda pair: pair[1].claim.section)
    return Report(
        page=lambda: Page("What the source document states, and what is derived", (), (_table(checked),)),
        document=lambda: {
            "schema_version": SCHEMA_VERSION,
            "command": "techniques",
            "tfcost_version": tfcost.__version__,
            "claims": [_entry(*pair) for pair in checked],
        },
        records=lambda: [_flat(*pair) for pair in checked],
    )


def _table(checked: list[tuple[TechniqueRecord, CheckedClaim]]) -> Table:
    rows = tuple(
        (
            found.claim.section,
            Code(record.technique),
            found.claim.quote,
            *claim_cells(found),
            found.scope,
            found.verdict,
        )
        for record, found in checked
    )
    return Table("", _COLUMNS, rows)


def _entry(record: TechniqueRecord, found: CheckedClaim) -> dict[str, Any]:
    return {"technique": record.technique, **claim_document(found), "verdict": found.verdict}


def _flat(record: TechniqueRecord, found: CheckedClaim) -> dict[str, Any]:
    """The entry with the same keys for every claim; `ratio` is the derived one, where the claim is about a ratio."""
    entry = _entry(record, found)
    return {**entry, "ratio": entry["ratio"]["derived"] if "ratio" in entry else None}
