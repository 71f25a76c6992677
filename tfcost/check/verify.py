"""Evidence files in, everything that `tfcost verify` tells out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfcost.book import Book
from tfcost.check.calibrate import ScaledTime, scaled_sweeps
from tfcost.check.cells import Cell, Unmatched, compare
from tfcost.check.derived import MODEL
from tfcost.check.stale import stale_techniques
from tfcost.check.sweeps import Point, points
from tfcost.errors import UserError, nearest
from tfcost.evidence.read import committed_paths, read_evidence
from tfcost.evidence.record import Evidence


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file and what it holds."""

    path: Path
    evidence: Evidence

    @property
    def machines(self) -> list[str]:
        """The machines of the runs, one a line."""
        return [
            f"{self.path.name}: {one.gpu}, driver {one.driver}, CUDA {one.cuda}, torch {one.torch}, "
            f"triton {one.triton}, {one.date[:10]}"
            for one in self.evidence.environments
        ]


@dataclass(frozen=True, slots=True)
class Verified:
    """The evidence, the cells, cases without cells, how many measurements are stale, and per sweep the times beside
    predictions that the longest of the sweep scales.
    """

    files: tuple[EvidenceFile, ...]
    cells: tuple[Cell, ...]
    unmatched: tuple[Unmatched, ...]
    stale: Mapping[str, int]
    scaled: tuple[tuple[ScaledTime, ...], ...]


def load_evidence(path: Path | None, required: bool = True) -> tuple[EvidenceFile, ...]:
    """The evidence in the file `path`, or without one in those that come with tfcost. UserError if there are none."""
    paths = (path,) if path else committed_paths()
    if not paths and required:
        raise UserError("no evidence comes with this tfcost; 'tfcost measure' makes some on a GPU: tfcost verify FILE")
    return tuple(EvidenceFile(each, read_evidence(each)) for each in paths)


def check_names(techniques: Sequence[str], book: Book) -> None:
    """UserError for a technique that neither the book nor whole models know."""
    for name in techniques:
        if name not in (*book.names, MODEL):
            raise UserError(f"unknown technique '{name}'{nearest(name, (*book.names, MODEL))}")


def verified(files: Sequence[EvidenceFile], book: Book, techniques: Sequence[str] = ()) -> Verified:
    """Compares the evidence with `book`, for `techniques` alone if any are named.

    UserError if there is no measurement to compare.
    """
    cells: list[Cell] = []
    unmatched: list[Unmatched] = []
    stale: dict[str, int] = {}
    for file in files:
        found = compare(file.evidence, book, techniques)
        cells += found.cells
        unmatched += found.unmatched
        for name, count in stale_techniques(file.evidence, book, techniques).items():
            stale[name] = stale.get(name, 0) + count
    if not cells and not unmatched:
        raise UserError(f"{files[0].path}: no measurement{' of ' + ', '.join(techniques) if techniques else ''}")
    scaled = tuple(scaled_sweeps(all_points(files, book, techniques)))
    return Verified(tuple(files), tuple(cells), tuple(unmatched), stale, scaled)


def all_points(files: Iterable[EvidenceFile], book: Book, techniques: Sequence[str] = ()) -> list[Point]:
    """The measurements of all files that the book has formulas for."""
    return [point for file in files for point in points(file.evidence, book, techniques)]
