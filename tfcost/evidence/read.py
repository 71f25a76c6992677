"""Evidence file to `Evidence`: every value is checked for its kind, its range and its place. No torch, no GPU.

A file that comes in a pull request is data like any other: a truncated, huge or made-up one is an error with its place.
"""

from math import isfinite
from pathlib import Path
from typing import Any

from tfcost.errors import UserError
from tfcost.evidence.record import SCHEMA_VERSION, Evidence, Measurement
from tfcost.files import read_limited

MAX_BYTES = 64_000_000
FOLDER = Path(__file__).parent


def committed_paths() -> tuple[Path, ...]:
    """The evidence files that come with tfcost, in alphabetical order."""
    return tuple(sorted(FOLDER.glob("*.json")))


def read_evidence(path: Path) -> Evidence:
    """The evidence in the JSON file `path`.

    UserError, with file and key, for a file that cannot be read, that is not evidence, or whose `schema_version` this
    tfcost does not know.
    """
    content = _content(path)
    _check_version(content, path)
    evidence = _validated(content, path)
    _check_environments(evidence, path)
    for index, measurement in enumerate(evidence.measurements):
        _check_measurement(measurement, len(evidence.environments), f"{path}: measurements[{index}]")
    _check_distinct(evidence, path)
    return evidence


def _content(path: Path) -> bytes:
    told = f"larger than {MAX_BYTES // 10**6} MB; evidence of a thousand cases has a few"
    return read_limited(path, MAX_BYTES, told)


def _check_version(content: bytes, path: Path) -> None:
    from pydantic_core import from_json

    try:
        data = from_json(content, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version is None:
        raise UserError(f"{path}: not evidence: 'schema_version' is missing")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise UserError(f"{path}: schema_version {version!r} is not {SCHEMA_VERSION}, the one this tfcost reads")


def _validated(content: bytes, path: Path) -> Evidence:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Evidence).validate_json(content, strict=True)
    except ValidationError as error:
        raise UserError(f"{path}: {_problem(error)}") from None


def _problem(error: Any) -> str:
    """The first of the validation's complaints, with its place as the file's keys say it."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"]).lstrip(".")
    if first["type"] == "missing":
        return f"'{place}' is missing"
    return f"{place or 'the file'}: {first['msg']}, found {str(first['input'])[:60]!r}"


def _check_environments(evidence: Evidence, path: Path) -> None:
    if len(evidence.ceilings) != len(evidence.environments):
        raise UserError(f"{path}: {len(evidence.environments)} environments, but ceilings of {len(evidence.ceilings)}")
    for index, ceilings in enumerate(evidence.ceilings):
        if ceilings is not None:
            found = (*ceilings.matmul_flops.values(), ceilings.scalar_flops, ceilings.bandwidth)
            if not all(isfinite(figure) and figure > 0 for figure in found) or not ceilings.launch_seconds >= 0:
                raise UserError(f"{path}: ceilings[{index}]: a ceiling is a positive number")


def _check_measurement(measurement: Measurement, environments: int, where: str) -> None:
    """Ranges that types do not say: places in the list of environments, sizes, counts, times."""
    if not 0 <= measurement.environment < environments:
        raise UserError(f"{where}.environment: {measurement.environment} is none of the {environments} there are")
    for name, size in measurement.case.sizes.items():
        if size < 0:
            raise UserError(f"{where}.case.sizes.{name}: {size} is not a size")
    for part in ("counters", "memory"):
        found = getattr(measurement, part)
        for name in found.__slots__ if found else ():
            if (getattr(found, name) or 0) < 0:
                raise UserError(f"{where}.{part}.{name}: a count cannot be negative")
    timing = measurement.timing
    if timing and not (0 < timing.low <= timing.median <= timing.high and isfinite(timing.high)):
        raise UserError(f"{where}.timing: expected 0 < low <= median <= high")


def _check_distinct(evidence: Evidence, path: Path) -> None:
    seen: dict[str, int] = {}
    for index, measurement in enumerate(evidence.measurements):
        key = measurement.case.key
        if key in seen:
            raise UserError(f"{path}: measurements[{index}]: the same case as measurements[{seen[key]}]: {key}")
        seen[key] = index
