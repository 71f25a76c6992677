"""The process that touches the GPU: does what a job file says and logs what happened, case by case.

It may crash, hang or be killed; whoever started it reads the log, and starts another one for what is left.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tfcost.book import Book, load_book
from tfcost.errors import UserError
from tfcost.evidence.record import Case
from tfcost.measure.ceilings import find_ceilings
from tfcost.measure.job import Job, Log
from tfcost.measure.machine import read_state
from tfcost.measure.memory import Allocator, MemoryHooks
from tfcost.measure.self_test import run_self_test
from tfcost.measure.timing import Clock, time_runs

if TYPE_CHECKING:
    from tfcost.measure.program import Program

    MakeProgram = Callable[[Case, Book, str], Program]


class Device(Protocol):
    """What runs cases: a GPU, or in tests something that behaves like one."""

    name: str
    out_of_memory: type[Exception]

    def describe(self) -> dict[str, object]:
        """Facts of the environment."""

    def synchronize(self) -> None:
        """Waits until all work is done."""

    def release(self) -> None:
        """Gives unused memory back."""

    def allocator(self) -> Allocator:
        """Its memory."""

    def clock(self) -> Clock:
        """Its clock."""

    def mark(self, place: int) -> None:
        """Shows the profiler that a case begins."""

    def profile(self, on: bool) -> None:
        """Switches the profiler."""

    def begin_list(self) -> None:
        """From now on kernels are listed."""

    def end_list(self) -> list[dict[str, Any]]:
        """Those launched since then: name, registers per thread, on-chip bytes per program."""


class Quiet:
    """Hooks that do nothing, for a run that warms up."""

    def begin(self) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def left(self, held: Sequence[int]) -> None:
        """Nothing."""


class ProfileHooks(Quiet):
    """Switches the profiler on for the passes alone, and counts how often."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.passes = 0

    def begin(self) -> None:
        """A pass begins."""
        self.passes += 1
        self._device.profile(True)

    def end(self) -> None:
        """The pass is over."""
        self._device.profile(False)


class PassKernels(Quiet):
    """Lists the kernels of the passes: a name to how often it was launched, and the most that a launch took."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._open = False
        self.found: dict[str, dict[str, Any]] = {}

    def begin(self) -> None:
        """A pass begins."""
        self._device.begin_list()
        self._open = True

    def close(self) -> None:
        """Ends what an error left open: nothing could be listed after it."""
        if self._open:
            self._device.end_list()

    def end(self) -> None:
        """The pass is over."""
        self._open = False
        for one in self._device.end_list():
            before = self.found.setdefault(one["name"], {**one, "launches": 0})
            before["launches"] += 1
            for amount in ("registers", "sram_bytes"):
                before[amount] = max(before[amount], one[amount])


def serve(job: Job, device: Device, make_program: "MakeProgram") -> None:
    """Does the whole `job`. An error of one case is logged; one that leaves the device unusable ends the process."""
    log, book = Log(job.log), load_book()
    log.tell("environment", **device.describe())
    if job.self_test:
        for place in run_self_test(device):
            log.tell("measured", place=place, passes=1)
    if job.ceilings:
        log.tell("ceilings", **asdict(find_ceilings(device)))
    measure = _profiled if job.profiled else _listed if job.listing else _direct
    for place, case in job.cases.items():
        log.tell("begin", place=place)
        make = partial(make_program, case, book, device.name)
        outcome, facts = _guarded(partial(measure, place, make, device, job), device)
        log.tell(outcome, place=place, **facts)
        if outcome != "measured":
            if not _usable(device):
                sys.exit(1)
            # What the error held is free now.
            gc.collect()
            device.release()
    log.tell("finished")


def _guarded(measure: Callable[[], dict[str, object]], device: Device) -> tuple[str, dict[str, object]]:
    """The outcome of one case and what is told of it."""
    try:
        facts = measure()
        device.synchronize()
        outcome = "measured"
    except device.out_of_memory as error:
        outcome, facts = "out of memory", {"reason": _first_line(error)}
    except Exception as error:
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        outcome, facts = "failed", {"reason": kind + _first_line(error)}
    return outcome, facts


def _usable(device: Device) -> bool:
    try:
        device.synchronize()
    except Exception:
        return False
    return True


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")[:300]


def _direct(place: int, make: "Callable[[], Program]", device: Device, job: Job) -> dict[str, object]:
    """Memory of one run after a first one, which makes libraries take their workspace; then the time of more runs."""
    program = make()
    _warm_up(program, device)
    with _no_collection():
        hooks = MemoryHooks(device.allocator())
        arguments = program.prepare()
        program.run(arguments, hooks)
        device.synchronize()
        facts: dict[str, Any] = {"memory": asdict(hooks.found())}
        if job.timing:
            timing = time_runs(lambda hooks: program.run(arguments, hooks), device.clock())
            temperature, throttle = read_state()
            facts |= {"timing": asdict(timing), "temperature": temperature, "throttle": throttle}
    return facts


def _warm_up(program: "Program", device: Device) -> None:
    arguments = program.prepare()
    program.run(arguments, Quiet())
    device.synchronize()
    del arguments
    gc.collect()
    device.release()


@contextmanager
def _no_collection() -> Iterator[None]:
    """When memory is released must not depend on when the collector happens to run."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _listed(place: int, make: "Callable[[], Program]", device: Device, job: Job) -> dict[str, object]:
    """The kernels of a second run; after the first, those of Triton lie in its cache."""
    program = make()
    arguments = program.prepare()
    program.run(arguments, Quiet())
    device.synchronize()
    kernels = PassKernels(device)
    try:
        program.run(arguments, kernels)
    finally:
        kernels.close()
    del arguments
    gc.collect()
    device.release()
    return {"kernels": list(kernels.found.values())}


def _profiled(place: int, make: "Callable[[], Program]", device: Device, job: Job) -> dict[str, object]:
    """One run under the profiler after one outside it."""
    program, hooks = make(), ProfileHooks(device)
    arguments = program.prepare()
    program.run(arguments, Quiet())
    if job.profiled != "passes":
        device.mark(place)
    try:
        program.run(arguments, hooks)
    except Exception as error:
        # The rows of a pass that is not whole would be taken for the next case's.
        sys.exit(f"{type(error).__name__}: {_first_line(error)}")
    del arguments
    device.release()
    return {"passes": hooks.passes}


def main() -> None:
    """`python -m tfcost.measure.child JOB`."""
    from tfcost.measure.cuda import Cuda
    from tfcost.measure.program import program_of

    serve(Job.read(Path(sys.argv[1])), Cuda(), program_of)


if __name__ == "__main__":
    main()
