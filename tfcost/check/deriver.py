"""Jobs in, a record or an error for each out: from what was kept of earlier runs, or derived in processes of their own.

The server that derives is started when the first job needs it, and ended with the `Deriver`.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from tfcost.book import TechniqueRecord
from tfcost.book.place import operations_path
from tfcost.book.read import read_record
from tfcost.check.client import Server
from tfcost.check.job import Job
from tfcost.check.sources import environment, unchanged
from tfcost.errors import UserError

CACHE = ".tfcost_cache"
_ERROR, _OUTPUT = ".error", ".output"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: its `record`, or the `error` (one or two lines); `kept`: nothing had to be derived."""

    job: Job
    record: TechniqueRecord | None = None
    error: str = ""
    kept: bool = False


@dataclass
class Deriver:
    """Derives jobs, `processes` at a time. `folder` keeps results for the next run (None: they are not kept); `paths`
    are searched for what targets import, before what is installed.
    """

    folder: Path | None = None
    processes: int = 1
    paths: tuple[str, ...] = ()
    warning: str = ""

    def __enter__(self) -> "Deriver":
        self._server: Server | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if self.folder is not None:
            try:
                self.folder.mkdir(exist_ok=True)
                (self.folder / ".gitignore").write_text("*\n")
            except OSError as error:
                self.warning = f"nothing is kept for the next run: {self.folder}: {error.strerror}"
                self.folder = None
        if self.folder is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="tfcost-check-")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._server is not None:
            self._server.close(at_once=kind is not None)
        if self._scratch is not None:
            self._scratch.cleanup()

    def derive(self, jobs: Iterable[Job], progress: Progress | None = None) -> list[Outcome]:
        """One outcome per job, in their order."""
        listed = list(jobs)
        stems = {job.name: self._stem(job) for job in listed}
        kept = {stems[job.name]: record for job in listed if (record := self._kept(job, stems[job.name]))}
        waiting = {stems[job.name]: job for job in listed if stems[job.name] not in kept}
        ended = self._run(waiting, progress) if waiting else {}
        fresh = {stem: self._outcome(waiting[stem], stem, how) for stem, how in ended.items()}
        old = {stem: Outcome(job=listed[0], record=record, kept=True) for stem, record in kept.items()}
        found = {**fresh, **old}
        return [replace(found[stems[job.name]], job=job) for job in listed]

    @property
    def _place(self) -> Path:
        return self.folder if self.folder is not None else Path(self._scratch.name if self._scratch else "")

    def _stem(self, job: Job) -> str:
        question = hashlib.sha256(f"{job.question} {environment()}".encode()).hexdigest()[:20]
        return f"{job.name}-{question}"

    def _kept(self, job: Job, stem: str) -> TechniqueRecord | None:
        path = self._place / f"{stem}.json"
        if not path.is_file():
            return None
        try:
            record = _read(path)
            known = bool(record.provenance.sources) or bool(job.technique)
            return record if known and unchanged(record.provenance.sources, Path(job.root)) else None
        except UserError:
            # A file that cannot be read is derived anew and replaced.
            return None

    def _run(self, waiting: dict[str, Job], progress: Progress | None) -> dict[str, str]:
        """Runs the jobs by stem; returns how each ended."""
        if self._server is None:
            self._server = Server(self.paths)
        ended: dict[str, str] = {}
        pending = list(waiting.items())
        running = 0
        while pending or running:
            while pending and running < self.processes:
                stem, job = pending.pop(0)
                self._forget(stem)
                self._server.submit(job, stem, self._place)
                running += 1
            stem, how = self._server.next_ended()
            ended[stem] = how
            running -= 1
            if progress:
                progress(waiting[stem].name, len(ended), len(waiting))
        return ended

    def _forget(self, stem: str) -> None:
        path = self._place / f"{stem}.json"
        for old in (path, operations_path(path), self._place / f"{stem}{_ERROR}", self._place / f"{stem}{_OUTPUT}"):
            old.unlink(missing_ok=True)

    def _outcome(self, job: Job, stem: str, how: str) -> Outcome:
        path = self._place / f"{stem}.json"
        error, output = self._place / f"{stem}{_ERROR}", self._place / f"{stem}{_OUTPUT}"
        try:
            if how == "time limit":
                return Outcome(job, error=f"not derived within its time limit of {job.time_limit} s")
            if error.is_file():
                return Outcome(job, error=_with_hint(error.read_text(encoding="utf-8")))
            if not path.is_file():
                return Outcome(job, error=_died(how, output))
            return Outcome(job, _read(path))
        finally:
            error.unlink(missing_ok=True)
            output.unlink(missing_ok=True)


def _read(path: Path) -> TechniqueRecord:
    """The whole record: nothing of it is left to be read when the file may be gone."""
    record = read_record(path, check_formulas=True)
    costs = []
    for cost in record.costs:
        whole = replace(
            cost, steps=tuple(cost.steps), operations=tuple(cost.operations), quantities={**cost.quantities}
        )
        costs.append(replace(whole, moments=tuple(cost.moments), saved=tuple(cost.saved)))
    return replace(record, costs=tuple(costs))


def _died(how: str, output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines() if output.is_file() else []
    last = f"; the last it printed: {lines[-1][:200]}" if lines else ""
    return f"its process ended without a result ({how or 'exit code 0'}){last}"


def _with_hint(message: str) -> str:
    asks_for_gpu = any(word in message for word in ("CUDA", "NVIDIA", "cuda device"))
    return f"{message}; a check runs without a GPU: ask for one when the code runs, not when it is imported" if (
        asks_for_gpu and "importing it failed" in message) else message  # fmt: skip
