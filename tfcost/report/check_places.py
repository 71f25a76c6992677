"""Where a finding of `tfcost check` is shown: the source line of its first cause, or the file that says it."""

import os
from pathlib import Path

from tfcost.check.finding import CheckResult, Finding


def place_of(result: CheckResult, finding: Finding) -> tuple[str, int]:
    """(path, line) of the finding; the path as `shown_from_workspace` gives it."""
    locations = (cause.location for cause in finding.causes if cause.location)
    return split_location(result, next(locations, finding.location) or f"{result.config}:1")


def split_location(result: CheckResult, location: str) -> tuple[str, int]:
    """(path, line) of "path.py:line", which is given from the result's folder."""
    path, _, line = location.rpartition(":")
    return shown_from_workspace(Path(result.root, path)), int(line) if line.isdigit() else 1


def shown_from_workspace(path: Path) -> str:
    """`path` from the checkout that CI works in, or from the working directory, where it lies in it."""
    base = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    whole = path.resolve()
    return (whole.relative_to(base) if whole.is_relative_to(base) else whole).as_posix()
