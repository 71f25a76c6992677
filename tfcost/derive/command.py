"""What `tfcost derive` does: derive the whole book again, or one function of the user's.

Techniques are derived in worker processes, variant by variant; the results are put together in the order in which the
technique lists them, so that the book's text does not depend on who finished first.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path

from tfcost.book import BOOK_FOLDER, Provenance, TechniqueRecord, load_book, write_record
from tfcost.cost import Cost
from tfcost.derive.book_check import Difference, differences
from tfcost.derive.costs import derive_variant
from tfcost.derive.discovery import techniques
from tfcost.derive.sources import source_digests
from tfcost.derive.target import load_function, subject_of
from tfcost.derive.technique import Technique, Variant
from tfcost.errors import UserError, nearest

_VERSIONS = ("torch", "triton", "sympy")
Progress = Callable[[str, int, int], None]


def derive_book(names: Sequence[str], progress: Progress | None = None) -> list[TechniqueRecord]:
    """The records of the techniques `names` (none: all), derived from their code.

    UserError for an unknown name; whatever goes wrong in a derivation is raised as it is.
    """
    known = techniques()
    for name in names:
        if name not in known:
            raise UserError(f"unknown technique '{name}'{nearest(name, known)}")
    chosen = list(names) or sorted(known)
    tasks = [(name, index) for name in chosen for index in range(len(_variants(name)))]
    costs: dict[str, list[Cost]] = {name: [] for name in chosen}
    for done, ((name, _), found) in enumerate(zip(tasks, _run(tasks), strict=True), start=1):
        costs[name] += found
        if progress:
            progress(name, done, len(tasks))
    return [_record(known[name], costs[name]) for name in chosen]


def write_book(records: Iterable[TechniqueRecord], folder: Path | None = None) -> list[Path]:
    """Writes the records into the book's folder, each file atomically."""
    return [write_record(record, folder or BOOK_FOLDER) for record in records]


def check_book(records: Iterable[TechniqueRecord], folder: Path | None = None) -> list[Difference]:
    """The formulas in which the book differs from the derived `records`."""
    book = load_book(folder)
    found = []
    for record in records:
        found += differences(book.record(record.technique) if record.technique in book.names else None, record)
    return found


def derive_function(
    target: str, dims: Sequence[str], shapes: Sequence[str], arguments: Sequence[str], dtype: str, passes: Sequence[str]
) -> list[Cost]:
    """The costs of the user's function "path.py:function" (see `target.subject_of` for the descriptions).

    What the function prints goes to stderr. UserError if it cannot be derived, with its file and line.
    """
    with redirect_stdout(sys.stderr):
        function = load_function(target)
        subject = subject_of(function, dims, shapes, arguments)
        variant = Variant("function", {}, subject, dtypes=(dtype,), backward="backward" in passes)
        name = target.rpartition(":")[2]
        technique = Technique(name, name, "", "torch", f"{target}, derived as it stands", lambda: [variant])
        return [cost for cost in derive_variant(technique, variant) if cost.pass_ in passes]


def _run(tasks: Sequence[tuple[str, int]]) -> Iterable[list[Cost]]:
    workers = min(len(tasks), os.cpu_count() or 1)
    if workers <= 1:
        yield from (_derive_one(*task) for task in tasks)
        return
    # Forked workers share what is imported; traces run no kernels, so no thread pool is alive to be torn.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    with ProcessPoolExecutor(workers, multiprocessing.get_context(method)) as pool:
        yield from pool.map(_derive_one, *zip(*tasks, strict=True))


def _derive_one(name: str, index: int) -> list[Cost]:
    return list(derive_variant(techniques()[name], _variants(name)[index]))


@cache
def _variants(name: str) -> list[Variant]:
    return list(techniques()[name].variants())


def _record(technique: Technique, costs: list[Cost]) -> TechniqueRecord:
    costs = [*(technique.composed(costs) if technique.composed else ()), *costs]
    costs = [replace(cost, moments=(), saved=()) for cost in costs]
    return TechniqueRecord(
        technique=technique.name, title=technique.title, section=technique.section,
        implementation=technique.implementation, summary=technique.summary, options=technique.options,
        defaults=technique.defaults, claims=technique.claims,
        provenance=Provenance(source_digests(technique.name), {name: _version(name) for name in _VERSIONS}),
        costs=tuple(costs),
    )  # fmt: skip


def _version(distribution: str) -> str:
    try:
        # A local build ("2.13.0+cpu") derives what the release does.
        return metadata.version(distribution).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "not installed"
