"""Derives each target in a process of its own: jobs in, one a line on stdin; one line of JSON per finished job out.

Run as a program. It imports torch once and forks for every job, so that a target may hang, crash, print, or change
global state without harm to the next one. A job's costs go to a book file in the folder named with it, whatever went
wrong to `NAME.error`, and what it printed to `NAME.output`.
"""

import gc
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from tfcost.book import Provenance, TechniqueRecord, write_record
from tfcost.check.job import Job
from tfcost.check.sources import loaded_sources
from tfcost.errors import UserError

_NEEDED = ("torch", "sympy", "tfcost.check.derive", "tfcost.derive.launch")
_KERNELS = ("triton", "triton.compiler", "tfcost.derive.offline", "tfcost.derive.ttir.walk")
_TICK = 0.02
ERROR, OUTPUT = ".error", ".output"


@dataclass(frozen=True, slots=True)
class _Running:
    stem: str
    ends: float


def main() -> None:
    """Serves until stdin ends; then whatever still runs is ended."""
    answers = os.fdopen(os.dup(1), "w")
    # Imports may print; the answers' channel is not theirs.
    os.dup2(2, 1)
    failure = _preload()
    running: dict[int, _Running] = {}
    unread = b""
    while True:
        ready, _, _ = select.select([0], [], [], _TICK if running else None)
        if ready:
            read = os.read(0, 1 << 16)
            if not read:
                break
            *lines, unread = (unread + read).split(b"\n")
            for line in lines:
                _start(json.loads(line), running, failure)
        for stem, ended in _finished(running):
            answers.write(json.dumps({"stem": stem, "ended": ended}) + "\n")
            answers.flush()
    for pid in running:
        _kill(pid)


def _preload() -> str:
    """Imports what every derivation needs; returns what is missing ("": nothing)."""
    try:
        for name in _NEEDED:
            importlib.import_module(name)
    except ImportError as error:
        return f"deriving a cost needs torch: pip install 'transformer-cost[derive]' ({error})"
    try:
        for name in _KERNELS:
            importlib.import_module(name)
    except ImportError:
        # A target that launches a kernel says so itself.
        pass
    gc.collect()
    gc.freeze()
    return ""


def _start(request: dict[str, str], running: dict[int, _Running], failure: str) -> None:
    job, stem = Job.parse(request["job"]), Path(request["folder"], request["stem"])
    pid = os.fork()
    if pid == 0:
        _child(job, stem, failure)
    running[pid] = _Running(request["stem"], time.monotonic() + job.time_limit)


def _finished(running: dict[int, _Running]) -> list[tuple[str, str]]:
    """The stems of the jobs that ended since the last call, each with how: "" by themselves, else what ended them."""
    found = []
    for pid, job in list(running.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if ended else 0
        if ended:
            found.append((job.stem, "" if code == 0 else f"exit code {code}" if code > 0 else _signal_name(-code)))
        elif time.monotonic() > job.ends:
            _kill(pid)
            os.waitpid(pid, 0)
            found.append((job.stem, "time limit"))
        else:
            continue
        del running[pid]
    return found


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _kill(pid: int) -> None:
    """Ends a job and whatever it has started; the job leads a process group of its own from its first moment on."""
    for end in (os.killpg, os.kill):
        try:
            end(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _child(job: Job, stem: Path, failure: str) -> NoReturn:
    os.setsid()
    with open(os.devnull) as nothing, open(f"{stem}{OUTPUT}", "w") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    code = 1
    try:
        try:
            if failure:
                raise UserError(failure)
            _derive(job, stem)
        except BaseException as error:
            # KeyboardInterrupt and SystemExit are the target's own: they must not leave this function either.
            message = str(error) if isinstance(error, UserError) else _internal(error)
            Path(f"{stem}{ERROR}").write_text(message, encoding="utf-8")
        code = 0
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _derive(job: Job, stem: Path) -> None:
    derive: Any = importlib.import_module("tfcost.check.derive")
    os.chdir(job.root)
    sys.path.insert(0, job.root)
    technique, costs = derive.derive_job(job)
    record = TechniqueRecord(
        technique=stem.name, title=job.name, section="", implementation=technique.implementation, summary="",
        options=technique.options, defaults=technique.defaults, claims=(),
        provenance=Provenance(loaded_sources(Path(job.root))),
        costs=tuple(replace(cost, technique=job.name) for cost in costs),
    )  # fmt: skip
    write_record(record, stem.parent)


def _internal(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"internal error: {type(error).__name__}: {error}{place}"


if __name__ == "__main__":
    main()
