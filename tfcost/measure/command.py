"""What `tfcost measure` does: checks the machine, runs what is not measured yet, saves after every case.

First every case for itself (memory, time), then all of them under the profiler, in groups.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import tfcost
from tfcost.book import Book
from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Case, Ceilings, Counters, Environment, Measurement, Memory, Timing
from tfcost.measure.booked import predicted_launches, predicted_peak, techniques_of
from tfcost.measure.counters import Profile, find_ncu
from tfcost.measure.job import Event, Job, chunks
from tfcost.measure.machine import Machine, read_machine
from tfcost.measure.profiler import check_counters, count_cases
from tfcost.measure.progress import Progress
from tfcost.measure.session import TOO_LARGE, Session, Wanted
from tfcost.measure.worker import CHILD, run_cases, run_job

_LEAST_CAPABILITY = (8, 0)
_IDLE_BYTES = 3 << 30
# A profiler keeps copies of the memory that a kernel writes, and runs it several times.
_MOST_COUNTED_BYTES = 8 << 30
# Several compiling processes share the GPU.
_MOST_COMPILING_BYTES = 4 << 30
# Kernels that one profiler counts before it prints what it found: a third of a second each.
_GROUP = 150
_LONGEST = 120.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured, where it goes (None: named after the GPU), and after how many seconds no new case begins."""

    output: Path | None = None
    counters: bool = True
    timing: bool = True
    ceilings: bool = True
    limit: float = float("inf")
    quiet: bool = False
    child: Sequence[str] = CHILD


@dataclass(frozen=True, slots=True)
class Result:
    """What there is now of the cases that were asked for; `waiting` is how many the time limit left over."""

    path: Path
    measurements: tuple[Measurement, ...]
    waiting: int


def measure(cases: Sequence[Case], book: Book, settings: Settings) -> Result:
    """Measures `cases`. CannotMeasure, with the reason, if the machine does not allow it. An interruption is passed on
    once everything is saved.
    """
    deadline = time.monotonic() + settings.limit
    machine = read_machine()
    check_machine(machine)
    ncu = find_ncu() if settings.counters else ""
    environment, ceilings = _environment(machine, settings)
    if ncu:
        check_counters(ncu, settings.child)
    path = settings.output or Path(f"{file_name(environment.gpu)}.json")
    session = Session(path, environment, partial(_source_hash, book=book))
    if ceilings is not None:
        session.set_ceilings(ceilings)
    run = _Run(session, book, settings, environment.memory_bytes, deadline, cases)
    with Progress(run.steps, settings.quiet) as progress:
        run.compile(progress)
        run.alone(progress)
        if ncu:
            run.profiled(progress, ncu)
    found = [session.get(case) for case in cases]
    known = tuple(one for one in found if one is not None)
    return Result(path, known, len(cases) - len(known))


def check_machine(machine: Machine) -> None:
    """CannotMeasure if the GPU is too old, shared, or busy."""
    if machine.capability < _LEAST_CAPABILITY:
        found = ".".join(map(str, machine.capability))
        raise CannotMeasure(f"{machine.gpu} has compute capability {found}; the kernels need 8.0 or later")
    if machine.mig:
        raise CannotMeasure(f"{machine.gpu} is split by MIG: a slice has no counters of its own; use a whole GPU")
    if machine.processes or machine.memory_used > _IDLE_BYTES:
        who = f"process {', '.join(map(str, machine.processes))}" if machine.processes else "somebody"
        raise CannotMeasure(f"{machine.gpu} is busy: {who} uses {machine.memory_used / 2**30:.1f} GiB of it; "
                            "measure when it is free, or choose another with CUDA_VISIBLE_DEVICES")  # fmt: skip


def file_name(gpu: str) -> str:
    """A GPU's name as a file's: "NVIDIA H100 80GB HBM3" is nvidia-h100-80gb-hbm3."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in gpu.lower()).split())


def _environment(machine: Machine, settings: Settings) -> tuple[Environment, Ceilings | None]:
    """What the measuring process finds, and the ceilings if they are asked for."""
    told: dict[str, Event] = {}

    def make_job(log: Path) -> Job:
        return Job(log, {}, ceilings=settings.ceilings)

    ended = run_job(make_job, settings.child, lambda event: told.update({event["event"]: event}), _LONGEST)
    if not ended.finished:
        raise CannotMeasure(f"measuring does not start: {ended.reason()}")
    facts = {name: value for name, value in told["environment"].items() if name != "event"}
    environment = Environment(
        **facts, driver=machine.driver, python=platform.python_version(), tfcost=tfcost.__version__,
        sm_clock_mhz=machine.sm_clock_mhz, sm_clock_max_mhz=machine.sm_clock_max_mhz,
        memory_clock_mhz=machine.memory_clock_mhz, date=_now(),
    )  # fmt: skip
    found = {name: value for name, value in told.get("ceilings", {}).items() if name != "event"}
    return environment, Ceilings(**found) if found else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _source_hash(case: Case, book: Book) -> str:
    from tfcost.measure.variants import code_hash, model_hash

    return model_hash(techniques_of(case, book)) if case.technique == "model" else code_hash(case.technique)


class _Run:
    """One run over `cases`, numbered in their order."""

    def __init__(
        self, session: Session, book: Book, settings: Settings, memory_bytes: int, deadline: float,
        cases: Sequence[Case],
    ) -> None:  # fmt: skip
        self._session, self._settings, self._deadline = session, settings, deadline
        self._wanted = Wanted(settings.counters, settings.timing)
        self._cases = dict(enumerate(cases))
        self._peaks = {place: predicted_peak(case, book) for place, case in self._cases.items()}
        self._memory_bytes = memory_bytes
        self._launches = {place: predicted_launches(case, book, _GROUP) for place, case in self._cases.items()}
        lacking = {place: session.lacks(case, self._wanted) for place, case in self._cases.items()}
        self._alone = [place for place, (alone, _) in lacking.items() if alone]
        self._incomplete = [place for place, lacks in lacking.items() if any(lacks)]
        self.steps = sum(alone + profiled for alone, profiled in lacking.values())

    def compile(self, progress: Progress) -> None:
        """All kernels at once, by several processes; a case that fails here will fail again where it counts."""
        waiting = {place: self._cases[place] for place in self._incomplete
                   if self._peaks[place] <= _MOST_COMPILING_BYTES}  # fmt: skip
        shares = shared_out(waiting, max(1, (os.cpu_count() or 1) - 2))
        if len(shares) < 2:
            return
        progress.say(f"compiling the kernels of {len(waiting)} cases in {len(shares)} processes")

        def run(share: dict[int, Case]) -> None:
            run_cases(share, lambda log, cases: Job(log, cases, compiling=True), self._settings.child,
                      lambda place, event: None, _LONGEST)  # fmt: skip

        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(run, shares))

    def alone(self, progress: Progress) -> None:
        """Memory and time."""
        fitting = {}
        for place in self._alone:
            peak = self._peaks[place]
            if peak > self._memory_bytes:
                reason = f"predicted, not run: {peak} bytes by the book, the GPU has {self._memory_bytes}"
                self._put(place, "out of memory", reason=reason)
                progress.step(self._cases[place].key)
            else:
                fitting[place] = self._cases[place]

        def on_event(place: int, event: Event) -> None:
            if place in fitting:
                self._put(place, event["event"], **_parsed(event))
                progress.step(self._cases[place].key)

        def make_job(log: Path, waiting: Mapping[int, Case]) -> Job:
            return Job(log, waiting, timing=self._settings.timing)

        run_cases(fitting, make_job, self._settings.child, on_event, _LONGEST, self._deadline)

    def profiled(self, progress: Progress, ncu: str) -> None:
        """Counters of all cases that could run and do not have them, first of those that launch few kernels."""
        from tfcost.measure.variants import triton_kernels

        waiting = []
        for place, case in self._cases.items():
            found = self._session.get(case)
            if found is None or found.outcome != "measured" or not self._session.lacks(case, self._wanted)[1]:
                continue
            if self._peaks[place] > _MOST_COUNTED_BYTES:
                self._session.put(replace(found, reason=f"{TOO_LARGE}: {self._peaks[place]} bytes"))
                progress.step(case.key)
            else:
                waiting.append(place)

        def on_profile(place: int, profile: Profile) -> None:
            self._counted(place, profile.counters, tuple(profile.kernels.values()))
            progress.step(self._cases[place].key)

        def on_failure(place: int, reason: str) -> None:
            self._counted(place, None, (), f"not counted: {reason}")
            progress.say(f"not counted: {self._cases[place].key}: {reason}")
            progress.step(self._cases[place].key)

        waiting.sort(key=self._launches.__getitem__)
        for group in chunks(waiting, self._launches, _GROUP):
            if time.monotonic() > self._deadline:
                return
            cases = {place: self._cases[place] for place in group}
            count_cases(cases, ncu, self._settings.child, triton_kernels(), on_profile, on_failure)

    def _put(self, place: int, outcome: Any, **facts: Any) -> None:
        self._session.put(Measurement(self._cases[place], 0, "", _now(), outcome, **facts))

    def _counted(self, place: int, counters: Counters | None, kernels: tuple[Any, ...], reason: str = "") -> None:
        found = self._session.get(self._cases[place])
        assert found is not None
        self._session.put(replace(found, counters=counters, kernels=kernels, reason=reason))


def shared_out(cases: Mapping[int, Case], most: int) -> list[dict[int, Case]]:
    """`cases` in at most `most` shares, together those that are likely to run the same kernels: one variant, at sizes
    that a compiler treats alike (multiples of 16, and others).
    """
    groups: dict[object, dict[int, Case]] = {}
    for place, case in cases.items():
        variant = tuple(sorted((name, str(value)) for name, value in case.variant.items()))
        aligned = all(size % 16 == 0 for name, size in case.sizes.items() if name in "nm")
        groups.setdefault((case.technique, case.dtype, case.sizes.get("d_h"), variant, aligned), {})[place] = case
    shares: list[dict[int, Case]] = [{} for _ in range(min(most, len(groups)))]
    loads = [0] * len(shares)
    for group in sorted(groups.values(), key=_passes, reverse=True):
        lightest = loads.index(min(loads))
        shares[lightest].update(group)
        loads[lightest] += _passes(group)
    return shares


def _passes(group: Mapping[int, Case]) -> int:
    """How many different passes of how many scopes: each has kernels of its own."""
    return len({(case.scope, case.pass_) for case in group.values()})


def _parsed(event: Event) -> dict[str, Any]:
    """The parts of a measurement that an event tells of."""
    made: Mapping[str, Callable[..., object]] = {"memory": Memory, "timing": Timing}
    found = {name: make(**event[name]) for name, make in made.items() if name in event}
    return found | {name: event[name] for name in ("reason", "temperature", "throttle") if name in event}
