"""Evidence to a JSON file: one measurement per line, so that a diff shows what was measured anew."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tfcost.evidence.record import Evidence
from tfcost.files import write_atomically


def write_evidence(evidence: Evidence, path: Path) -> None:
    """Replaces the file `path`, whole. UserError if it cannot be written."""
    write_atomically(path, evidence_text(evidence))


def evidence_text(evidence: Evidence) -> str:
    """The text of an evidence file."""
    lists = {
        "environments": evidence.environments,
        "ceilings": evidence.ceilings,
        "measurements": evidence.measurements,
    }
    parts = [f'"schema_version": {evidence.schema_version}', *(_listed(name, items) for name, items in lists.items())]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _listed(name: str, items: Sequence[Any]) -> str:
    lines = ",\n".join(json.dumps(None if item is None else asdict(item), ensure_ascii=False) for item in items)
    return f'"{name}": [\n{lines}\n]' if lines else f'"{name}": []'
