"""The roofline of a run: measured speed over measured intensity, below the ceilings measured in the same run.

Williams, Waterman, Patterson: Roofline, CACM 52 (2009).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tfcost.analysis.ceilings import Measured
from tfcost.check.sweeps import Point

_SCOPES = ("core", "layer", "stack", "model")


@dataclass(frozen=True, slots=True)
class Dot:
    """One case: FLOPs per byte of device-memory traffic, and FLOP/s."""

    label: str
    intensity: float
    speed: float


@dataclass(frozen=True, slots=True)
class Roofline:
    """The cases of one dtype on one GPU; `peak` in FLOP/s, `bandwidth` in B/s."""

    name: str
    title: str
    peak: float
    bandwidth: float
    dots: tuple[Dot, ...]

    @property
    def range(self) -> tuple[float, float]:
        """From where to where the ceilings are drawn."""
        found = [dot.intensity for dot in self.dots]
        corner = self.peak / self.bandwidth
        return min(*found, corner) / 2, max(*found, corner) * 2


def rooflines(points: Sequence[Point]) -> Iterator[Roofline]:
    """One per GPU and dtype: of every technique, scope and pass the case that does the most work."""
    groups: dict[tuple[str, str], dict[tuple[str, str, str], Point]] = {}
    for point in points:
        case = point.measurement.case
        if point.ceilings and case.dtype in point.ceilings.matmul_flops and _work(point) and point.measurement.timing:
            chosen = groups.setdefault((point.gpu, case.dtype), {})
            key = (case.technique, case.scope, case.pass_)
            if key not in chosen or _work(point) > _work(chosen[key]):
                chosen[key] = point
    for (gpu, dtype), chosen in sorted(groups.items()):
        best = _one_scope(chosen)
        ceilings = best[0].ceilings
        assert ceilings is not None
        yield _roofline(gpu, dtype, ceilings, best)


def _one_scope(chosen: dict[tuple[str, str, str], Point]) -> list[Point]:
    """Of every technique and pass the smallest scope that was measured."""
    found: dict[tuple[str, str], Point] = {}
    for scope in _SCOPES:
        for (technique, at, pass_), point in sorted(chosen.items()):
            if at == scope:
                found.setdefault((technique, pass_), point)
    return [found[key] for key in sorted(found)] or list(chosen.values())


def _work(point: Point) -> int:
    counters = point.measurement.counters
    return counters.tensor_flops if counters and counters.hbm_read_bytes + counters.hbm_write_bytes else 0


def _roofline(gpu: str, dtype: str, ceilings: Measured, points: Sequence[Point]) -> Roofline:
    peak = ceilings.matmul_peak(dtype)
    title = f"{gpu}, {dtype}\nof each technique the largest case with counters, under ceilings measured in the same run"
    return Roofline(f"roofline-{dtype}", title, peak, ceilings.bandwidth.value, tuple(map(_dot, points)))


def _dot(point: Point) -> Dot:
    case, counters, timing = point.measurement.case, point.measurement.counters, point.measurement.timing
    assert counters is not None
    assert timing is not None
    traffic = counters.hbm_read_bytes + counters.hbm_write_bytes
    return Dot(f"{case.technique} {case.pass_}", _work(point) / traffic, _work(point) / timing.median)
