"""Evidence files in, everything that `tfcost verify` tells out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfcost.book import Book
from tfcost.check.cells import Cell, Unmatched, compare
from tfcost.check.derived import MODEL
from tfcost.check.stale import stale_techniques
from tfcost.errors import UserError, nearest
from tfcost.evidence.read import committed_paths, read_evidence
from tfcost.evidence.record import Environment


@dataclass(frozen=True, slots=True)
class Verified:
    """The evidence's files and machines, the cells, cases without cells, and how many measurements are stale."""

    files: tuple[tuple[Path, tuple[Environment, ...]], ...]
    cells: tuple[Cell, ...]
    unmatched: tuple[Unmatched, ...]
    stale: Mapping[str, int]


def evidence_paths(path: Path | None) -> tuple[Path, ...]:
    """The file `path`, or without one those that come with tfcost. UserError if there are none."""
    paths = (path,) if path else committed_paths()
    if not paths:
        raise UserError("no evidence comes with this tfcost; 'tfcost measure' makes some on a GPU: tfcost verify FILE")
    return paths


def verified(path: Path | None, book: Book, techniques: Sequence[str]) -> Verified:
    """Compares the evidence in `path` (None: tfcost's own) with `book`, for `techniques` alone if any are named.

    UserError for an unknown technique, and if there is no measurement to compare.
    """
    for name in techniques:
        if name not in (*book.names, MODEL):
            raise UserError(f"unknown technique '{name}'{nearest(name, (*book.names, MODEL))}")
    files: list[tuple[Path, tuple[Environment, ...]]] = []
    cells: list[Cell] = []
    unmatched: list[Unmatched] = []
    stale: dict[str, int] = {}
    for each in evidence_paths(path):
        evidence = read_evidence(each)
        found = compare(evidence, book, techniques)
        files.append((each, evidence.environments))
        cells += found.cells
        unmatched += found.unmatched
        for name, count in stale_techniques(evidence, book, techniques).items():
            stale[name] = stale.get(name, 0) + count
    if not cells and not unmatched:
        raise UserError(f"{files[0][0]}: no measurement{' of ' + ', '.join(techniques) if techniques else ''}")
    return Verified(tuple(files), tuple(cells), tuple(unmatched), stale)
