"""How long a run takes: the passes alone, each on a cold L2, the median of several runs. Never under a profiler."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tfcost.evidence.record import Timing

BUDGET = 0.1
"""Seconds of GPU time that one case is timed for, about."""

LEAST_RUNS, MOST_RUNS = 5, 100
_LONGEST = 3.0


class Clock(Protocol):
    """Times stretches of GPU work."""

    def start(self) -> None:
        """Flushes the L2 cache, then starts."""

    def stop(self) -> None:
        """Stops."""

    def seconds(self) -> float:
        """Waits for the GPU; the sum of all stretches since the last call."""


class TimeHooks:
    """Times the passes of runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def begin(self) -> None:
        """A pass begins."""
        self._clock.start()

    def end(self) -> None:
        """The pass is over."""
        self._clock.stop()

    def left(self, held: Sequence[int]) -> None:
        """Does not take time."""


def time_runs(run: Callable[[TimeHooks], None], clock: Clock) -> Timing:
    """The time of `run`, which has run before. A slow one is timed a few times, or once if it takes seconds."""
    hooks = TimeHooks(clock)
    begun = time.perf_counter()
    run(hooks)
    first = clock.seconds()
    wall = time.perf_counter() - begun
    wanted = max(LEAST_RUNS, min(MOST_RUNS, int(BUDGET / max(first, 1e-6))))
    affordable = max(1, int(_LONGEST / max(wall, 1e-6)))
    times = [first] if affordable == 1 else []
    while len(times) < min(wanted, affordable):
        run(hooks)
        times.append(clock.seconds())
    times.sort()
    return Timing(_quantile(times, 0.5), _quantile(times, 0.2), _quantile(times, 0.8), len(times))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two values on either side of `share`."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
