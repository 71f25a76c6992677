"""Evidence and book in, sweeps out: measurements that differ in one size alone, from the smallest to the largest."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tfcost.analysis.ceilings import Measured, measured_ceilings
from tfcost.book import Book
from tfcost.check.derived import Derived, derived_for
from tfcost.errors import UserError
from tfcost.evidence.record import Evidence, Measurement

SWEPT = ("n", "m", "w", "g", "k", "E", "c", "s", "f", "L", "p", "t", "b", "h")
"""The symbols along which sweeps are looked for."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement, its formulas, the ceilings of its run (None: not measured) and its GPU."""

    measurement: Measurement
    derived: Derived
    ceilings: Measured | None
    gpu: str

    def size(self, symbol: str) -> int:
        """The value of `symbol`."""
        return self.derived.values[symbol]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Points with growing values of `symbol`, each value once, everything else equal."""

    symbol: str
    points: tuple[Point, ...]

    @property
    def last(self) -> Point:
        """The point of the largest size."""
        return self.points[-1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The values of the symbol."""
        return tuple(point.size(self.symbol) for point in self.points)


def points(evidence: Evidence, book: Book, techniques: Sequence[str] = ()) -> list[Point]:
    """The measurements that the book has formulas for (of `techniques` alone, if any are named)."""
    ceilings = [
        measured_ceilings(environment, found) if found else None
        for environment, found in zip(evidence.environments, evidence.ceilings, strict=True)
    ]
    found = []
    for measurement in evidence.measurements:
        wanted = not techniques or measurement.case.technique in techniques
        if wanted and measurement.outcome == "measured":
            try:
                derived = derived_for(measurement.case, book)
            except UserError:
                continue  # told by `compare`
            place = measurement.environment
            found.append(Point(measurement, derived, ceilings[place], evidence.environments[place].gpu))
    return found


def sweeps(found: Iterable[Point], symbols: Sequence[str] = SWEPT, least: int = 2) -> Iterator[Sweep]:
    """The sweeps along each of `symbols` with at least `least` values, in the order in which they begin."""
    found = list(found)
    for symbol in symbols:
        groups: dict[tuple[object, ...], dict[int, Point]] = {}
        for point in found:
            if symbol in point.measurement.case.sizes:
                groups.setdefault(_rest(point, symbol), {}).setdefault(point.size(symbol), point)
        for group in groups.values():
            if len(group) >= least:
                yield Sweep(symbol, tuple(group[size] for size in sorted(group)))


def _rest(point: Point, symbol: str) -> tuple[object, ...]:
    """Everything about a case but `symbol` and what follows it: m = n, h_kv = h, d = h*d_h, f = 4*d."""
    case, values = point.measurement.case, dict(point.derived.values)
    for name, leader, factor in (("m", "n", 1), ("h_kv", "h", 1), ("d", "h", values.get("d_h", 0)), ("f", "d", 4)):
        if name in values and leader in values and values[name] == factor * values[leader]:
            values[name] = -factor
    values.pop(symbol)
    return (
        point.gpu,
        case.technique,
        case.scope,
        case.pass_,
        case.dtype,
        case.seed,
        tuple(sorted(case.variant.items())),
        tuple(sorted(values.items())),
    )
