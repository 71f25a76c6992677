"""Cases under Nsight Compute, many in one process: amounts by case, however often a case brings the process down."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Case
from tfcost.measure.counters import Amounts, amounts_of_kernels, amounts_of_passes, explain_failure, ncu_command
from tfcost.measure.job import Event, Job, Profiled
from tfcost.measure.self_test import check_self_test
from tfcost.measure.worker import Ended, run_job

LONGEST = 180.0
"""Seconds after which a case under the profiler is given up."""


def check_counters(ncu: str, child: Sequence[str]) -> None:
    """The self-test. CannotMeasure, with the reason, if counters cannot be had or cannot be believed."""
    told: list[Event] = []

    def make_job(log: Path) -> Job:
        return Job(log, {}, profiled="passes", self_test=True)

    ended = run_job(make_job, ncu_command(ncu, "passes", child), told.append, LONGEST)
    explain_failure(ended.output + ended.errors)
    found = _amounts("passes", ended, told)
    if not found:
        raise CannotMeasure(f"Nsight Compute counts nothing: {ended.reason()}; --no-counters measures without it")
    check_self_test(found)


def count_cases(
    cases: Mapping[int, Case], ncu: str, way: Profiled, child: Sequence[str],
    on_amounts: Callable[[int, Amounts], None], on_failure: Callable[[int, str], None], longest: float = LONGEST,
) -> None:  # fmt: skip
    """Profiles all `cases` in that `way`, told one by one when a process has ended. CannotMeasure if profiling stops
    working.
    """
    waiting = dict(cases)
    while waiting:
        told: list[Event] = []

        def make_job(log: Path) -> Job:
            return Job(log, waiting, profiled=way)

        ended = run_job(make_job, ncu_command(ncu, way, child), told.append, longest)
        settled = _settle(way, ended, told, waiting)
        if not settled:
            raise CannotMeasure(f"profiling stopped working: {ended.reason()}")
        for place, found in settled.items():
            del waiting[place]
            if isinstance(found, str):
                on_failure(place, found)
            else:
                on_amounts(place, found)


def _amounts(way: Profiled, ended: Ended, told: Sequence[Event]) -> dict[int, Amounts]:
    if way != "passes":
        return amounts_of_kernels(ended.output, way)
    ran = [(event["place"], event["passes"]) for event in told if event["event"] == "measured"]
    return amounts_of_passes(ended.output, ran)


def _settle(
    way: Profiled, ended: Ended, told: Sequence[Event], waiting: Mapping[int, Case]
) -> dict[int, Amounts | str]:
    """What became of cases in a process that has ended: amounts, or why there are none. The others are to be tried
    again: a process that dies may take the table of those before with it.
    """
    explain_failure(ended.output + ended.errors)
    amounts = _amounts(way, ended, told)
    events = {event["place"]: event for event in told if event["event"] in ("measured", "failed", "out of memory")}
    settled: dict[int, Amounts | str] = {}
    for place in waiting:
        event = events.get(place)
        if event is not None and event["event"] != "measured":
            settled[place] = str(event["reason"])
        elif event is not None and place in amounts:
            settled[place] = amounts[place]
        elif ended.finished and ended.code == 0:
            settled[place] = "it does not show in the profile"
        elif place == ended.at and event is None:
            settled[place] = ended.reason()
    return settled
