"""What `tfcost measure` does: checks the machine, runs what is not measured yet, saves after every case.

First all kernels are compiled and listed, then every case runs for itself (memory, time), then all of them under the
profiler, in groups: whole passes, and of those with few kernels the fp32 instructions.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import tfcost
from tfcost.book import Book
from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Case, Ceilings, Counters, Environment, Kernel, Measurement, Memory, Timing
from tfcost.measure.booked import predicted_peak, techniques_of
from tfcost.measure.counters import Amounts, find_ncu
from tfcost.measure.job import Event, Job, Profiled, chunks
from tfcost.measure.machine import Machine, read_machine
from tfcost.measure.profiler import check_counters, count_cases
from tfcost.measure.progress import Progress
from tfcost.measure.session import TOO_LARGE, Lacks, Session, Wanted
from tfcost.measure.worker import CHILD, Deadline, run_cases, run_job

_LEAST_CAPABILITY = (8, 0)
_IDLE_BYTES = 3 << 30
# A profiler keeps copies of the memory that a kernel writes, and runs it several times.
_MOST_COUNTED_BYTES = 8 << 30
# Several compiling processes share the GPU.
_MOST_COMPILING_BYTES = 4 << 30
# Instructions are counted kernel by kernel, about a third of a second each: of cases with more launches not at all,
# unless the library multiplies by a vector on the FMA units.
_MOST_LAUNCHES, _BY_VECTOR = 6, "gemv"
# What one profiler counts before it prints what it found: so many cases, or kernels.
_GROUP = 200
_LONGEST = 120.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured, where it goes (None: named after the GPU), after how many seconds no new case begins, and
    whether kernels are listed.
    """

    output: Path | None = None
    counters: bool = True
    timing: bool = True
    ceilings: bool = True
    limit: float = float("inf")
    quiet: bool = False
    kernels: bool = True
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
    deadline = Deadline(time.monotonic() + settings.limit)
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
        run.list_kernels(progress)
        run.alone(progress)
        if ncu:
            run.count_passes(progress, ncu)
            run.count_instructions(progress, ncu)
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
        self, session: Session, book: Book, settings: Settings, memory_bytes: int, deadline: Deadline,
        cases: Sequence[Case],
    ) -> None:  # fmt: skip
        self._session, self._settings, self._deadline = session, settings, deadline
        self._wanted = Wanted(settings.counters, settings.timing, settings.kernels)
        self._cases = dict(enumerate(cases))
        self._peaks = {place: predicted_peak(case, book) for place, case in self._cases.items()}
        self._memory_bytes = memory_bytes
        self._kernels: dict[int, tuple[Kernel, ...]] = {}
        lacking = {place: self._lacks(place) for place in self._cases}
        self._alone = [place for place, lacks in lacking.items() if lacks.alone]
        self._unlisted = [place for place, lacks in lacking.items() if lacks.kernels]
        self.steps = len(self._alone) + sum(lacks.passes for lacks in lacking.values())

    def _lacks(self, place: int) -> Lacks:
        return self._session.lacks(self._cases[place], self._wanted)

    def list_kernels(self, progress: Progress) -> None:
        """Compiles and lists all kernels, by several processes at once where memory allows; a case that fails here will
        fail again where it counts.
        """
        waiting = {place: self._cases[place] for place in self._unlisted if self._peaks[place] <= self._memory_bytes}
        small = {place: case for place, case in waiting.items() if self._peaks[place] <= _MOST_COMPILING_BYTES}
        shares = shared_out(small, max(1, (os.cpu_count() or 1) - 2))
        if small:
            progress.say(f"compiling the kernels of {len(small)} cases in {len(shares)} processes")

        def on_event(place: int, event: Event) -> None:
            if event["event"] == "measured":
                self._kernels[place] = _kernels(event)
            elif "reason" in event:
                progress.say(f"kernels not listed: {self._cases[place].key}: {event['reason']}")

        def run(share: dict[int, Case]) -> None:
            run_cases(share, lambda log, cases: Job(log, cases, listing=True), self._settings.child, on_event,
                      _LONGEST, self._deadline)  # fmt: skip

        with ThreadPoolExecutor(max(1, len(shares))) as pool:
            try:
                list(pool.map(run, shares))
            except BaseException:
                self._deadline.pull()
                raise
        run({place: case for place, case in waiting.items() if place not in small})
        for place in self._kernels:
            found = self._session.get(self._cases[place])
            if found is not None:
                self._session.put(replace(found, kernels=self._kernels[place]))

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

    def count_passes(self, progress: Progress, ncu: str) -> None:
        """What the hardware counts by itself, of all cases that could run and do not have it."""
        waiting = []
        for place in self._measured():
            if self._lacks(place).passes and self._peaks[place] > _MOST_COUNTED_BYTES:
                self._change(place, reason=f"{TOO_LARGE}: {self._peaks[place]} bytes")
                progress.step(self._cases[place].key)
            elif self._lacks(place).passes:
                waiting.append(place)

        singly: list[int] = []

        def on_amounts(place: int, amounts: Amounts) -> None:
            self._change(place, counters=Counters(**amounts), reason="")
            progress.step(self._cases[place].key)

        def on_failure(place: int, reason: str) -> None:
            self._change(place, counters=None, reason=f"not counted: {reason}")
            progress.say(f"not counted: {self._cases[place].key}: {reason}")
            progress.step(self._cases[place].key)

        self._count("passes", ncu, chunks(waiting, dict.fromkeys(waiting, 1), _GROUP), on_amounts,
                    lambda place, _: singly.append(place))  # fmt: skip
        self._count("kernels", ncu, [[place] for place in singly], on_amounts, on_failure)

    def count_instructions(self, progress: Progress, ncu: str) -> None:
        """The fp32 instructions of cases that launch few kernels or need them to be explained."""
        launches = {}
        for place in self._measured():
            found = self._session.get(self._cases[place])
            if found and found.counters and found.kernels and self._lacks(place).instructions:
                count = sum(kernel.launches for kernel in found.kernels)
                if count <= _MOST_LAUNCHES or any(_BY_VECTOR in kernel.name for kernel in found.kernels):
                    launches[place] = count

        def on_amounts(place: int, amounts: Amounts) -> None:
            found = self._session.get(self._cases[place])
            assert found is not None
            assert found.counters is not None
            self._change(place, counters=replace(found.counters, **amounts))

        def on_failure(place: int, reason: str) -> None:
            progress.say(f"instructions not counted: {self._cases[place].key}: {reason}")

        if launches:
            progress.say(f"counting the instructions of {len(launches)} cases")
        self._count("instructions", ncu, chunks(sorted(launches, key=launches.__getitem__), launches, _GROUP),
                    on_amounts, on_failure)  # fmt: skip

    def _count(
        self, way: Profiled, ncu: str, groups: Iterable[Sequence[int]], on_amounts: Callable[[int, Amounts], None],
        on_failure: Callable[[int, str], None],
    ) -> None:  # fmt: skip
        for group in groups:
            if self._deadline.passed:
                return
            cases = {place: self._cases[place] for place in group}
            count_cases(cases, ncu, way, self._settings.child, on_amounts, on_failure)

    def _measured(self) -> Iterator[int]:
        """The cases that could run."""
        for place, case in self._cases.items():
            found = self._session.get(case)
            if found is not None and found.outcome == "measured":
                yield place

    def _put(self, place: int, outcome: Any, **facts: Any) -> None:
        kernels = self._kernels.get(place, ())
        self._session.put(Measurement(self._cases[place], 0, "", _now(), outcome, kernels=kernels, **facts))

    def _change(self, place: int, **facts: Any) -> None:
        found = self._session.get(self._cases[place])
        assert found is not None
        self._session.put(replace(found, **facts))


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


def _kernels(event: Event) -> tuple[Kernel, ...]:
    from tfcost.measure.variants import triton_kernels

    ours = triton_kernels()
    return tuple(Kernel(**one, triton=one["name"] in ours) for one in event["kernels"])


def _parsed(event: Event) -> dict[str, Any]:
    """The parts of a measurement that an event tells of."""
    made: Mapping[str, Callable[..., object]] = {"memory": Memory, "timing": Timing}
    found = {name: make(**event[name]) for name, make in made.items() if name in event}
    return found | {name: event[name] for name in ("reason", "temperature", "throttle") if name in event}
