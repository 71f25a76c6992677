"""Every statement of the source document beside what the derivation says."""

from collections.abc import Mapping, Sequence
from typing import Any

import tfcost
from tfcost.analysis.claims import CheckedClaim, check_by_default
from tfcost.book import Book, Claim, TechniqueRecord
from tfcost.check.claims import MeasuredClaim
from tfcost.report.claims import claim_cells, claim_document
from tfcost.report.document import SCHEMA_VERSION
from tfcost.report.measured_claims import UNMEASURED, measured_document, measured_text, verdict_text
from tfcost.report.page import Code, Page, Report, Table

_COLUMNS = (
    "section",
    "technique",
    "the document",
    "stated",
    "derived",
    "derived, h = 1",
    "scope",
    "verdict",
    "measured",
)

Verdicts = Mapping[tuple[str, str, str], MeasuredClaim]


def claims_report(book: Book, measured: Sequence[MeasuredClaim] = ()) -> Report:
    """One row per claim, in the order of the document's sections; techniques as they are by default. `measured` says
    what was measured of them.
    """
    verdicts = {_key(one.technique, one.claim): one for one in measured}
    records = sorted(book.techniques.values(), key=lambda record: (record.section, record.technique))
    checked = [(record, claim) for record in records for claim in check_by_default(record, book)]
    checked.sort(key=lambda pair: pair[1].claim.section)
    return Report(
        page=lambda: Page("What the source document states, and what is derived", (), (_table(checked, verdicts),)),
        document=lambda: {
            "schema_version": SCHEMA_VERSION,
            "command": "techniques",
            "tfcost_version": tfcost.__version__,
            "claims": [_entry(*pair, verdicts) for pair in checked],
        },
        records=lambda: [_flat(*pair, verdicts) for pair in checked],
    )


def _key(technique: str, claim: Claim) -> tuple[str, str, str]:
    return technique, claim.quantity, claim.quote


def _table(checked: Sequence[tuple[TechniqueRecord, CheckedClaim]], verdicts: Verdicts) -> Table:
    rows = tuple(
        (
            found.claim.section,
            Code(record.technique),
            found.claim.quote,
            *claim_cells(found),
            found.scope,
            found.verdict,
            _measured(record, found, verdicts),
        )
        for record, found in checked
    )
    return Table("", _COLUMNS, rows)


def _measured(record: TechniqueRecord, found: CheckedClaim, verdicts: Verdicts) -> str:
    """Verdict and numbers in one cell."""
    one = verdicts.get(_key(record.technique, found.claim))
    if one is None:
        return UNMEASURED
    if one.holds is None:
        return verdict_text(one)
    return f"{verdict_text(one)}: {measured_text(one)}"


def _entry(record: TechniqueRecord, found: CheckedClaim, verdicts: Verdicts) -> dict[str, Any]:
    one = verdicts.get(_key(record.technique, found.claim))
    measured = {"measured": measured_document(one)} if one else {}
    return {"technique": record.technique, **claim_document(found), "verdict": found.verdict, **measured}


def _flat(record: TechniqueRecord, found: CheckedClaim, verdicts: Verdicts) -> dict[str, Any]:
    """The entry with the same keys for every claim; `ratio` is the derived one, where the claim is about a ratio."""
    entry = _entry(record, found, verdicts)
    ratio = entry["ratio"]["derived"] if "ratio" in entry else None
    return {**entry, "ratio": ratio, "measured": _measured(record, found, verdicts)}
