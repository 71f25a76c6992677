"""Growth: a sweep in, the measured coefficients of the derived formula's own powers and the slopes of time out.

No class is guessed: the powers of the swept symbol are those of the derived formula at whole tiles, everything else
being a number in a sweep. What the exact formula has beside them (rounding up to tiles) is taken off first. Relative
residuals are made least, so that short sequences count as much as long ones.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import log

from tfcost.analysis import polynomial as poly
from tfcost.analysis.shown import shown_form
from tfcost.check.cells import TIME, measured_quantities
from tfcost.check.comparison import Comparison
from tfcost.check.least_squares import Coefficient, fit
from tfcost.check.sweeps import Point, Sweep
from tfcost.cost import Cost
from tfcost.formula import Formula

FITTED = ("matmul_flops", "issued_bytes", "peak_bytes")
"""The quantities whose growth is fitted."""


@dataclass(frozen=True, slots=True)
class Term:
    """One power of the swept symbol: its derived coefficient and, with an interval, the fitted one."""

    power: Formula
    derived: Fraction
    fitted: Coefficient

    @property
    def agrees(self) -> bool:
        """Whether the derived coefficient lies in the interval."""
        return self.fitted.contains(self.derived)


@dataclass(frozen=True, slots=True)
class Growth:
    """The growth of one quantity along a sweep: its terms, the largest power first, fitted at `sizes`."""

    sweep: Sweep
    quantity: str
    terms: tuple[Term, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slope:
    """d log(value) / d log(symbol) from one size of a sweep to another, measured and derived."""

    sweep: Sweep
    quantity: str
    first: int
    last: int
    measured: float
    derived: float


def growth(sweep: Sweep, quantity: str) -> Growth | None:
    """The fit of `quantity` along `sweep`; None if it was not measured at more points than there are terms, if rules
    say that it does not compare, or if its formula has no powers of the symbol.
    """
    derived = powers_of(sweep.last, sweep.symbol, quantity)
    if not derived:
        return None
    powers = sorted(derived, reverse=True)
    points = [point for point in sweep.points if _comparable(point, quantity)]
    points = [point for point in points if _value(derived, point.size(sweep.symbol)) > 0]
    if len(points) <= len(powers):
        return None
    rows, targets = [], []
    for point in points:
        size = Fraction(point.size(sweep.symbol))
        scale = _value(derived, point.size(sweep.symbol))
        rounding = (point.derived.value(quantity) or 0) - scale
        rows.append([size**power / scale for power in powers])
        targets.append((measured_quantities(point.measurement)[quantity] - rounding) / scale)
    coefficients = fit(rows, targets)
    if coefficients is None:
        return None
    terms = (
        Term(poly.to_formula({frozenset([(sweep.symbol, power)] if power else []): 1}), derived[power], one)
        for power, one in zip(powers, coefficients, strict=True)
    )
    return Growth(sweep, quantity, tuple(terms), tuple(point.size(sweep.symbol) for point in points))


def _value(powers: Mapping[int, Fraction], size: int) -> Fraction:
    return sum((factor * Fraction(size) ** power for power, factor in powers.items()), Fraction(0))


def _comparable(point: Point, quantity: str) -> bool:
    """Whether the quantity was measured, and means at this point what the formula means."""
    if quantity not in measured_quantities(point.measurement) or point.derived.broken():
        return False
    comparison = Comparison(quantity, 0, 0, point.measurement, point.derived, 0, 0)
    if quantity == "issued_bytes":
        return comparison.all_triton
    return quantity != "matmul_flops" or point.measurement.case.dtype != "float32"


def powers_of(point: Point, symbol: str, quantity: str) -> Mapping[int, Fraction] | None:
    """The derived coefficient of every power of `symbol`, all other sizes being those of `point`; None if the formula
    is no sum of whole powers of it.
    """
    found = point.derived.cost.quantities.get(quantity)
    if found is None:
        return None
    fixed = point.derived.cost.fixed if isinstance(point.derived.cost, Cost) else {}
    shown = _readable(found.readable or found.exact, tuple(point.derived.values.items()), tuple(fixed.items()))
    others = {name: size for name, size in point.derived.values.items() if name != symbol}
    powers: dict[int, Fraction] = {}
    for monomial, coefficient in poly.expand(shown.substitute(others).tree).items():
        power = dict(monomial).get(symbol, 0)
        if any(atom != symbol for atom, _ in monomial) or not isinstance(power, int):
            return None
        powers[power] = Fraction(coefficient)
    return powers


@cache
def _readable(formula: Formula, values: tuple[tuple[str, int], ...], fixed: tuple[tuple[str, int], ...]) -> Formula:
    return shown_form(formula, dict(values), dict(fixed)).formula


def slopes(sweep: Sweep, quantity: str) -> Iterator[Slope]:
    """The slope over every doubling (or more) of the swept size, up to the largest one."""
    measured, derived = MEASURED[quantity], DERIVED[quantity]
    points = [point for point in sweep.points if measured(point) and derived(point)]
    end = len(points) - 1
    found = []
    while end > 0:
        start = next((i for i in range(end - 1, -1, -1) if 2 * points[i].size(sweep.symbol)
                      <= points[end].size(sweep.symbol)), 0)  # fmt: skip
        found.append(_slope(sweep, quantity, points[start], points[end], measured, derived))
        end = start
    yield from reversed(found)


Value = Callable[[Point], float | None]


def _slope(sweep: Sweep, quantity: str, first: Point, last: Point, measured: Value, derived: Value) -> Slope:
    sizes = first.size(sweep.symbol), last.size(sweep.symbol)
    run = log(sizes[1] / sizes[0])
    rises = [log((value(last) or 1) / (value(first) or 1)) / run for value in (measured, derived)]
    return Slope(sweep, quantity, *sizes, *rises)


def _seconds(point: Point) -> float | None:
    return point.measurement.timing.median if point.measurement.timing else None


def _predicted(point: Point) -> float | None:
    found = point.derived.prediction(point.ceilings) if point.ceilings else None
    return found.seconds if found else None


def _measured(quantity: str) -> Value:
    return lambda point: measured_quantities(point.measurement).get(quantity) if _comparable(point, quantity) else None


def _derived(quantity: str) -> Value:
    return lambda point: point.derived.value(quantity)


MEASURED: Mapping[str, Value] = {TIME: _seconds} | {name: _measured(name) for name in FITTED}
DERIVED: Mapping[str, Value] = {TIME: _predicted} | {name: _derived(name) for name in FITTED}


def all_growth(found: Iterable[Sweep]) -> Iterator[Growth]:
    """The fits of all quantities along all sweeps, where there is one."""
    for sweep in found:
        for quantity in FITTED:
            if (one := growth(sweep, quantity)) is not None:
                yield one
