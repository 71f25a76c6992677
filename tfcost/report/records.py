"""Results flattened for CSV: one record per quantity of a result or of one of its steps."""

from collections.abc import Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]


def quantity_records(results: Iterable[Mapping[str, Any]]) -> list[Record]:
    """The records of a document's "results"; `step` is empty for the whole result."""
    records: list[Record] = []
    for result in results:
        records += _records(result, "", result["quantities"])
        for step in result["steps"]:
            records += _records(result, step["name"], step["quantities"])
    return records


def _records(result: Mapping[str, Any], step: str, quantities: Mapping[str, Mapping[str, Any]]) -> list[Record]:
    about = {name: result[name] for name in ("technique", "implementation", "scope", "pass", "causal", "dtype")}
    columns = ("value", "unit", "theta", "formula", "exact", "provenance")
    return [
        about | {"step": step, "quantity": name} | {column: entry.get(column, "") for column in columns}
        for name, entry in quantities.items()
    ]
