"""Sweeps in, what a plot shows of them out: measured points, and the derived curve through the same sizes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

from tfcost.check.cells import TIME, measured_quantities
from tfcost.check.derived import filled
from tfcost.check.sweeps import Point, Sweep
from tfcost.errors import UserError

PLOTTED = ("matmul_flops", "issued_bytes", "peak_bytes", TIME)
"""The quantities of a figure, in the order of its panels."""

_STEPS = 32


@dataclass(frozen=True, slots=True)
class Series:
    """One sweep in one quantity: (size, value) of the measured points and of the derived curve."""

    sweep: Sweep
    quantity: str
    measured: tuple[tuple[int, float], ...]
    derived: tuple[tuple[int, float], ...]


def series(sweep: Sweep, quantity: str) -> Series:
    """The points that were measured, and the curve over their range; either may be empty."""
    found = [(point.size(sweep.symbol), _measured(point, quantity)) for point in sweep.points]
    measured = tuple((size, value) for size, value in found if value)
    values = [(size, _derived(sweep, size, quantity)) for size in _grid(sweep.sizes)]
    return Series(sweep, quantity, measured, tuple((size, value) for size, value in values if value))


def _measured(point: Point, quantity: str) -> float | None:
    if quantity == TIME:
        return point.measurement.timing.median if point.measurement.timing else None
    return measured_quantities(point.measurement).get(quantity)


def _derived(sweep: Sweep, size: int, quantity: str) -> float | None:
    """The derived value at another size of the sweep's symbol, everything else as at its last point."""
    point = sweep.last
    sizes = {name: value for name, value in point.measurement.case.sizes.items() if name != sweep.symbol}
    if sweep.symbol == "n" and sizes.get("m") == point.size("n"):
        del sizes["m"]
    values = {**point.derived.values, **filled({**sizes, sweep.symbol: size})}
    if quantity != TIME:
        return point.derived.value(quantity, values)
    if point.ceilings is None:
        return None
    try:
        found = replace(point.derived, values=values).prediction(point.ceilings)
    except UserError:
        return None
    return found.seconds if found else None


def _grid(sizes: Sequence[int]) -> list[int]:
    """Sizes from the first to the last, evenly spaced in their logarithm, in the multiples that all sizes share: a
    formula for whole chunks holds at no others.
    """
    step = gcd(*sizes)
    ratio = sizes[-1] / sizes[0]
    spaced = (sizes[0] * ratio ** (place / _STEPS) for place in range(_STEPS + 1))
    return sorted({max(step, round(size / step) * step) for size in spaced})
