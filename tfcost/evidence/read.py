"""An evidence file to `Evidence`: data of others, so every value is checked for its kind."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tfcost.errors import UserError
from tfcost.evidence.record import SCHEMA_VERSION, Evidence


def read_evidence(path: Path) -> Evidence:
    """The evidence in the file `path`. UserError, with file and place, if it is none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    try:
        evidence = TypeAdapter(Evidence).validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise UserError(f"{path}: {f'{place}: ' if place else ''}{problem['msg']}") from None
    if evidence.schema_version != SCHEMA_VERSION:
        raise UserError(f"{path}: schema_version {evidence.schema_version} is not {SCHEMA_VERSION}")
    return evidence
