"""The table of techniques: what the book knows, what can be asked about each."""

from typing import Any

import tfcost
from tfcost.book import Book, TechniqueRecord
from tfcost.report.document import SCHEMA_VERSION
from tfcost.report.page import Code, Page, Report, Table

_COLUMNS = ("technique", "title", "section", "code", "scopes", "passes", "options")


def techniques_report(book: Book) -> Report:
    """One row per technique, in the order of the source document's sections."""
    records = sorted(book.techniques.values(), key=lambda record: (record.section, record.technique))
    table = Table("", _COLUMNS, tuple(_row(record) for record in records))
    return Report(
        page=lambda: Page("Techniques", (), (table,)),
        document=lambda: {
            "schema_version": SCHEMA_VERSION,
            "command": "techniques",
            "tfcost_version": tfcost.__version__,
            "techniques": [_entry(record) for record in records],
        },
        records=lambda: [{name: _flat(value) for name, value in _entry(record).items()} for record in records],
    )


def _entry(record: TechniqueRecord) -> dict[str, Any]:
    return {
        "technique": record.technique,
        "section": record.section,
        "title": record.title,
        "implementation": record.implementation,
        "scopes": list(dict.fromkeys(cost.scope for cost in record.costs)),
        "passes": list(dict.fromkeys(cost.pass_ for cost in record.costs)),
        "dtypes": list(dict.fromkeys(dtype for cost in record.costs for dtype in cost.dtypes)),
        "options": {
            name: {"values": list(option.values), "default": option.default, "meaning": option.meaning}
            for name, option in record.options.items()
        },
        "defaults": dict(record.defaults),
    }


def _row(record: TechniqueRecord) -> tuple[str | Code, ...]:
    entry = _entry(record)
    return (
        Code(record.technique),
        record.title,
        record.section,
        record.implementation,
        ", ".join(entry["scopes"]),
        ", ".join(entry["passes"]),
        "; ".join(_written(name, values["values"]) for name, values in entry["options"].items()),
    )


def _written(name: str, values: list[Any]) -> str:
    return f"{name}: {'|'.join(str(value).lower() for value in values)}"


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return "; ".join(
            _written(name, entry["values"]) if isinstance(entry, dict) else f"{name}={entry}"
            for name, entry in value.items()
        )
    return ", ".join(value) if isinstance(value, list) else value
