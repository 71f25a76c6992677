"""Measurements as runs that can be compared: what one ran in one pass, or in both passes of a training step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tfcost.book.record import OptionValue
from tfcost.check.cells import TIME, measured_quantities
from tfcost.check.sweeps import Point
from tfcost.evidence.record import Case

TRAIN = "train"


@dataclass(frozen=True, slots=True)
class Run:
    """One case, measured in one pass, or as a training step in two passes one after the other."""

    points: tuple[Point, ...]
    pass_: str

    @property
    def case(self) -> Case:
        """The case (of the first pass)."""
        return self.points[0].measurement.case

    @property
    def values(self) -> Mapping[str, int]:
        """The value of every symbol."""
        return self.points[0].derived.values

    def value(self, quantity: str) -> float | None:
        """A measured quantity, or seconds for `TIME`: the peak of both passes, the sum of everything else; None if it
        was not measured.
        """
        found = [_value(point, quantity) for point in self.points]
        known = [value for value in found if value is not None]
        if len(known) < len(found):
            return None
        return max(known) if quantity == "peak_bytes" else sum(known)


def _value(point: Point, quantity: str) -> float | None:
    if quantity == TIME:
        return point.measurement.timing.median if point.measurement.timing else None
    return measured_quantities(point.measurement).get(quantity)


def single_runs(points: Iterable[Point]) -> list[Run]:
    """Each measurement by itself."""
    return [Run((point,), point.measurement.case.pass_) for point in points]


def training_runs(points: Iterable[Point]) -> list[Run]:
    """The training steps: those measured as one, and forward and backward passes of the same case."""
    groups: dict[tuple[object, ...], dict[str, Point]] = {}
    for point in points:
        case = point.measurement.case
        groups.setdefault((case.technique, case.scope, case.dtype, case.seed, _items(case.variant), _items(case.sizes)),
                          {})[case.pass_] = point  # fmt: skip
    found = []
    for passes in groups.values():
        if TRAIN in passes:
            found.append(Run((passes[TRAIN],), TRAIN))
        elif {"forward", "backward"} <= passes.keys():
            found.append(Run((passes["forward"], passes["backward"]), TRAIN))
    return found


def partner(run: Run, others: Iterable[Run], technique: str, against: Mapping[str, OptionValue]) -> Run | None:
    """The run of `technique` with the options `against` that equals `run` in everything else that both have."""
    options = {**run.case.variant, **against}
    for other in others:
        if other.case.technique == technique and _alike(run, other):
            shared = options.keys() & other.case.variant.keys()
            if all(other.case.variant[name] == options[name] for name in shared):
                return other
    return None


def _alike(one: Run, two: Run) -> bool:
    kinds = [(run.case.scope, run.case.dtype, run.pass_, run.case.seed) for run in (one, two)]
    sizes = one.values.keys() & two.values.keys()
    return kinds[0] == kinds[1] and all(one.values[name] == two.values[name] for name in sizes)


def _items(mapping: Mapping[str, OptionValue]) -> tuple[tuple[str, OptionValue], ...]:
    return tuple(sorted(mapping.items()))
