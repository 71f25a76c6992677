"""Cases under Nsight Compute, many in one process: counters by case, however often a case brings the process down."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Case
from tfcost.measure.counters import Profile, explain_failure, ncu_command, parse_profile
from tfcost.measure.job import Event, Job
from tfcost.measure.self_test import check_self_test
from tfcost.measure.worker import Ended, run_job

LONGEST = 180.0
"""Seconds after which a case under the profiler is given up."""


def check_counters(ncu: str, child: Sequence[str]) -> None:
    """The self-test. CannotMeasure, with the reason, if counters cannot be had or cannot be believed."""
    ended = run_job(lambda log: Job(log, {}, counters=True, self_test=True), ncu_command(ncu, child), _ignore, LONGEST)
    profiles = parse_profile(ended.output + ended.errors)
    if not profiles:
        raise CannotMeasure(f"Nsight Compute counts nothing: {ended.reason()}; --no-counters measures without it")
    check_self_test({place: profile.counters for place, profile in profiles.items()})


def _ignore(event: Event) -> None:
    return None


def count_cases(
    cases: Mapping[int, Case], ncu: str, child: Sequence[str], triton_kernels: Iterable[str],
    on_profile: Callable[[int, Profile], None], on_failure: Callable[[int, str], None], longest: float = LONGEST,
) -> None:  # fmt: skip
    """Profiles all `cases`, told one by one when a process has ended. CannotMeasure if profiling stops working."""
    waiting = dict(cases)
    while waiting:
        told: dict[int, Event] = {}

        def follow(event: Event, told: dict[int, Event] = told) -> None:
            if event["event"] in ("measured", "failed", "out of memory"):
                told[event["place"]] = event

        def make_job(log: Path) -> Job:
            return Job(log, waiting, counters=True)

        ended = run_job(make_job, ncu_command(ncu, child), follow, longest)
        settled = _settle(ended, told, waiting, triton_kernels)
        if not settled:
            raise CannotMeasure(f"profiling stopped working: {ended.reason()}")
        for place, found in settled.items():
            del waiting[place]
            if isinstance(found, Profile):
                on_profile(place, found)
            else:
                on_failure(place, found)


def _settle(
    ended: Ended, told: Mapping[int, Event], waiting: Mapping[int, Case], triton_kernels: Iterable[str]
) -> dict[int, Profile | str]:
    """What became of cases in a process that has ended: a profile, or why there is none. The others are to be tried
    again: a process that dies may take the table of those before with it.
    """
    explain_failure(ended.output + ended.errors)
    profiles = parse_profile(ended.output, triton_kernels)
    settled: dict[int, Profile | str] = {}
    for place in waiting:
        event = told.get(place)
        if event is not None and event["event"] != "measured":
            settled[place] = str(event["reason"])
        elif event is not None and place in profiles:
            settled[place] = profiles[place]
        elif ended.finished and ended.code == 0:
            settled[place] = "it does not show in the profile"
        elif place == ended.at and event is None:
            settled[place] = ended.reason()
    return settled
