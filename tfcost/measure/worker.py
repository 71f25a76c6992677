"""Starts the process that measures and follows its log; when it dies, says which case it died of and starts another.

In: cases by number. Out: calls of `done(place, event)` as results come. Nothing here needs torch or a GPU.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Case
from tfcost.measure.job import Event, Job, LogReader

CHILD = (sys.executable, "-m", "tfcost.measure.child")
_POLL = 0.05
# Torch, Triton and the GPU's context; a profiler takes longer.
_STARTING = 300.0
# Blocks of exactly the size asked for, rounded up to 512 bytes, whatever their size: nothing is hidden in holes.
_ALLOCATOR = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", "PYTORCH_ALLOC_CONF": "expandable_segments:True"}


@dataclass(slots=True)
class Deadline:
    """The moment from which no new case begins; `pull` makes it now, for processes that other threads follow, too."""

    at: float = float("inf")

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self.at

    def pull(self) -> None:
        """Ends everything."""
        self.at = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code, what it printed, the case it was at (None: none), and whether it hung."""

    code: int
    output: str
    errors: str
    at: int | None
    hung: bool
    finished: bool

    def reason(self) -> str:
        """Why a case was not finished."""
        if self.hung:
            return "took too long and was stopped"
        if self.code < 0:
            return f"the process was ended by {signal.Signals(-self.code).name}"
        told = [*self.errors.splitlines(), *(line for line in self.output.splitlines() if line.startswith("==ERROR=="))]
        last = next((line for line in reversed(told) if line.strip()), "")
        return f"the process ended with exit code {self.code}" + (f": {last.strip()[:200]}" if last else "")


def run_cases(
    cases: Mapping[int, Case], make_job: Callable[[Path, Mapping[int, Case]], Job], command: Sequence[str],
    on_event: Callable[[int, Event], None], longest: float, deadline: Deadline,
) -> None:  # fmt: skip
    """Runs all `cases`, in as many processes as it takes, until `deadline`; `on_event` is told every event, and a
    "failed" one for a case that a process died of. CannotMeasure if a process dies before its first case.
    """
    waiting = dict(cases)
    while waiting and not deadline.passed:

        def follow(event: Event) -> None:
            place = event.get("place", -1)
            if event["event"] not in ("begin", "finished"):
                on_event(place, event)
                waiting.pop(place, None)

        ended = run_job(lambda log: make_job(log, waiting), command, follow, longest, deadline)
        if ended.finished or deadline.passed:
            return
        if ended.at is None:
            raise CannotMeasure(f"measuring did not start: {ended.reason()}")
        if ended.at in waiting:
            del waiting[ended.at]
            on_event(ended.at, {"event": "failed", "place": ended.at, "reason": ended.reason()})


def run_job(
    make_job: Callable[[Path], Job], command: Sequence[str], on_event: Callable[[Event], None],
    longest: float, deadline: Deadline | None = None,
) -> Ended:  # fmt: skip
    """One process with one job; `on_event` is told its events. It is stopped if a case takes longer than `longest`
    seconds, at `deadline`, and when this process is interrupted.
    """
    with tempfile.TemporaryDirectory(prefix="tfcost-") as folder:
        job_path, log = Path(folder, "job.json"), Path(folder, "log.jsonl")
        make_job(log).write(job_path)
        with Path(folder, "stdout").open("w+b") as out, Path(folder, "stderr").open("w+b") as err:
            process = subprocess.Popen(
                [*command, str(job_path)], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                start_new_session=True, env={**os.environ, **_ALLOCATOR},
            )  # fmt: skip
            try:
                at, hung, finished = _follow(process, LogReader(log), on_event, longest, deadline or Deadline())
            finally:
                _stop(process)
            return Ended(process.returncode, _text(out), _text(err), at, hung, finished)


def _follow(
    process: "subprocess.Popen[bytes]", reader: LogReader, on_event: Callable[[Event], None], longest: float,
    deadline: Deadline,
) -> tuple[int | None, bool, bool]:  # fmt: skip
    """The case it was at last, whether it hung, whether it said that it had finished."""
    at, finished = None, False
    patience = time.monotonic() + _STARTING
    while True:
        over = process.poll() is not None
        for event in reader.events():
            if event["event"] == "begin":
                at = event["place"]
            finished |= event["event"] == "finished"
            # At its end, a profiler still has its table to print.
            patience = time.monotonic() + (_STARTING if finished else longest)
            on_event(event)
        if over or time.monotonic() > min(patience, deadline.at):
            return at, not over, finished
        time.sleep(_POLL)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ends the process and those that it started, if they are still there."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")
