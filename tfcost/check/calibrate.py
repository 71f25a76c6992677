"""Predicted times corrected by one measurement per sweep: points in, scaled predictions beside measured times out.

Along a sweep of lengths, all else equal, the ratio of measured to predicted time at the longest scales the prediction
at the others. The longest is what the scale is taken from, so it is never one of the times that are compared.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tfcost.check.cells import TIME
from tfcost.check.growth import DERIVED, MEASURED
from tfcost.check.sweeps import Point, sweeps
from tfcost.evidence.record import Case

LENGTHS = ("n", "m", "p")
"""The symbols that are a length: of the sequence, of the cache, of the prompt."""

ALL = "all"


@dataclass(frozen=True, slots=True)
class ScaledTime:
    """Seconds of one case: predicted from the ceilings alone, that prediction times the sweep's `scale`, measured."""

    case: Case
    predicted: float
    scale: float
    measured: float

    @property
    def raw(self) -> float:
        """Measured less predicted, as a part of what is predicted."""
        return self.measured / self.predicted - 1

    @property
    def scaled(self) -> float:
        """Measured less scaled prediction, as a part of the scaled prediction."""
        return self.measured / (self.predicted * self.scale) - 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """The times of one technique, or of "all", in `sweeps` sweeps; `raw` and `scaled` are the medians of the relative
    differences' sizes without and with the scale, `worst` is the time that is farthest off with it.
    """

    technique: str
    sweeps: int
    times: int
    raw: float
    scaled: float
    worst: ScaledTime


def scaled_sweeps(points: Iterable[Point]) -> Iterator[tuple[ScaledTime, ...]]:
    """Of every sweep of at least two lengths the times at all but the longest; each case once."""
    timed = [point for point in points if MEASURED[TIME](point) and DERIVED[TIME](point)]
    seen: set[tuple[str, str]] = set()
    for sweep in sweeps(timed, LENGTHS):
        scale = _measured(sweep.last) / _predicted(sweep.last)
        fresh = [point for point in sweep.points[:-1] if _key(point) not in seen]
        seen.update(map(_key, sweep.points))
        if fresh:
            yield tuple(
                ScaledTime(point.measurement.case, _predicted(point), scale, _measured(point)) for point in fresh
            )


def calibrations(found: Sequence[Sequence[ScaledTime]]) -> tuple[Calibration, ...]:
    """One for all sweeps together and then one per technique, in alphabetical order; none if there is no sweep."""
    groups: dict[str, list[Sequence[ScaledTime]]] = {}
    for times in found:
        groups.setdefault(times[0].case.technique, []).append(times)
    named = [(ALL, found), *((name, groups[name]) for name in sorted(groups))]
    return tuple(_calibration(name, group) for name, group in named if group)


def _calibration(technique: str, found: Sequence[Sequence[ScaledTime]]) -> Calibration:
    times = [one for sweep in found for one in sweep]
    return Calibration(
        technique,
        len(found),
        len(times),
        median(abs(one.raw) for one in times),
        median(abs(one.scaled) for one in times),
        max(times, key=lambda one: abs(one.scaled)),
    )


def _key(point: Point) -> tuple[str, str]:
    return point.gpu, point.measurement.case.key


def _measured(point: Point) -> float:
    return MEASURED[TIME](point) or 0.0


def _predicted(point: Point) -> float:
    return DERIVED[TIME](point) or 0.0
