"""A pass of a subject whose code fixes a size: traced at several values of it, and put together exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from tfcost.cost import AMOUNTS
from tfcost.derive.errors import DerivationError, SpecialisedSize
from tfcost.derive.interpolate import interpolate, interpolate_sets, sample_points
from tfcost.derive.subject import Subject
from tfcost.derive.trace import PassTrace
from tfcost.derive.tracer import Record

Trace = Callable[[Subject], PassTrace]
_MOST_SIZES = 2


def traced_or_sampled(subject: Subject, trace: Trace) -> PassTrace:
    """`trace(subject)`; if a size does not stay symbolic, the same pass by exact interpolation in that size.

    Raises `SpecialisedSize` if more than two sizes would have to be sampled, `DerivationError` if the cost is no
    polynomial in them.
    """
    try:
        return trace(subject)
    except SpecialisedSize as reason:
        names = [name for name in reason.names if name in subject.sizes]
        if not names or len(names) > _MOST_SIZES:
            raise
        return _sampled(subject, names, trace)


def _sampled(subject: Subject, names: Sequence[str], trace: Trace) -> PassTrace:
    remaining = tuple(name for name in subject.sizes if name not in names)
    traces: dict[tuple[int, ...], PassTrace] = {}
    for point in sample_points(names):
        at_point = replace(subject, sizes=remaining, fixed={**subject.fixed, **point})
        try:
            traces[tuple(point.values())] = trace(at_point)
        except SpecialisedSize as error:
            raise DerivationError(f"{error}; sampling {', '.join(names)} does not help") from error

    def whole(get: Callable[[PassTrace], sp.Expr]) -> sp.Expr:
        return interpolate(names, {point: get(found) for point, found in traces.items()})

    first = next(iter(traces.values()))
    return replace(
        first,
        records=_records(names, {point: found.records for point, found in traces.items()}),
        peak=interpolate_sets(names, {point: found.peak for point, found in traces.items()}),
        unique_bytes=whole(lambda found: found.unique_bytes),
        saved_bytes=None if first.saved_bytes is None else whole(lambda found: found.saved_bytes or sp.Integer(0)),
        parameters=whole(lambda found: found.parameters),
        parameter_bytes=whole(lambda found: found.parameter_bytes),
        given_bytes=whole(lambda found: found.given_bytes),
        notes=(*first.notes, f"{', '.join(names)} by exact interpolation with held-out points"),
        provenance="interpolated",
    )


def _records(names: Sequence[str], runs: Mapping[tuple[int, ...], Sequence[Record]]) -> tuple[Record, ...]:
    """One record per operation and source line, its amounts summed over repetitions and interpolated.

    How many kernels it starts depends on the sampled sizes; it is given as one.
    """
    totals: dict[Record, dict[tuple[int, ...], Record]] = {}
    for point, records in runs.items():
        for record in records:
            empty = replace(record, **dict.fromkeys(AMOUNTS, sp.Integer(0)), launches=1)
            at_point = totals.setdefault(empty, {})
            before = at_point.get(point, empty)
            at_point[point] = replace(
                before, **{name: getattr(before, name) + getattr(record, name) for name in AMOUNTS}
            )
    merged = []
    for empty, at_points in totals.items():
        amounts = {
            name: interpolate(names, {point: getattr(at_points.get(point, empty), name) for point in runs})
            for name in AMOUNTS
        }
        merged.append(replace(empty, **amounts))
    return tuple(merged)
