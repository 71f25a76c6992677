"""How often does the time check of `tfcost check` call unchanged code slower? Every alarm here is a false one.

Run: `python tests/gpu/repeat_checks.py --output repeats.json [--times 20]`, with `tfcost` and `tfcost_kernels`
importable. One case of each kernel is measured once more than it is checked; the first time is the baseline, and each
other one is judged against it by itself, without the second look that `tfcost check` takes at what seems slower. Prints
a line per case and the number of alarms, exits 1 if there are any after a second look.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tfcost.book import load_book
from tfcost.check.baseline import worse
from tfcost.evidence.record import Case, Environment, Evidence, Measurement, Memory, Timing
from tfcost.measure.job import Event, Job
from tfcost.measure.plan import Selection, make_plan
from tfcost.measure.worker import CHILD, Deadline, run_cases

CHECKED = (
    ("flash", 4096), ("linear", 4096), ("local", 4096), ("longformer", 4096), ("top-k", 4096), ("moe", 4100),
    ("kv-cache", 4096),
)  # fmt: skip


def cases() -> list[Case]:
    """One forward (or decode) case of each technique, and flash attention's backward pass."""
    found: dict[tuple[str, str], Case] = {}
    for case in make_plan(load_book(), Selection()).cases:
        length = case.sizes.get("n", case.sizes.get("m"))
        if (case.technique, length) in CHECKED and (case.pass_ != "backward" or case.technique == "flash"):
            found.setdefault((case.technique, case.pass_), case)
    return list(found.values())


def measure(wanted: list[Case], times: int) -> list[list[Measurement]]:
    """All cases, `times` times over, in one process."""
    numbered = dict(enumerate(wanted * times))
    found: dict[int, Measurement] = {}

    def on_event(place: int, event: Event) -> None:
        if place not in numbered:  # about the machine
            return
        if event["event"] != "measured":
            raise RuntimeError(f"{numbered[place].key}: {event.get('reason')}")
        found[place] = Measurement(numbered[place], 0, "", "", "measured", memory=Memory(**event["memory"]),
                                   timing=Timing(**event["timing"]))  # fmt: skip

    run_cases(numbered, lambda log, waiting: Job(log, waiting), CHILD, on_event, 120.0, Deadline())
    every = [found[place] for place in sorted(found)]
    return [every[turn * len(wanted) : (turn + 1) * len(wanted)] for turn in range(times)]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    wanted = cases()
    environment = Environment("this GPU", "", "", "", "", "", "", 0, 0, 0, 0, 0, 0, "")  # the same for all of them
    runs = [Evidence((environment,), (None,), tuple(turn)) for turn in measure(wanted, options.times + 1)]
    baseline, checked = runs[0], runs[1:]
    once = [one for run in checked for one in worse(baseline, [run])]
    thrice = [one for first in range(len(checked) - 2) for one in worse(baseline, checked[first : first + 3])]
    for place, case in enumerate(wanted):
        medians = sorted(run.measurements[place].timing.median for run in runs if run.measurements[place].timing)
        print(f"{case.key[:70]:70} {medians[0] * 1e6:9.1f} to {medians[-1] * 1e6:9.1f} µs")
    print(f"{len(checked) * len(wanted)} checks: {len(once)} seemed slower once, {len(thrice)} three times in a row")
    report = {"first look": [str(one) for one in once], "alarms": [str(one) for one in thrice],
              "timings": [[asdict(one.timing) for one in run.measurements if one.timing] for run in runs]}  # fmt: skip
    options.output.write_text(json.dumps(report, indent=1))
    sys.exit(1 if thrice else 0)


if __name__ == "__main__":
    main()
