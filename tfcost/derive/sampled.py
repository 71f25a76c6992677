"""A pass of a subject whose code fixes a size: traced at several values of it, and put together exactly."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from tfcost.cost import AMOUNTS
from tfcost.derive.errors import DerivationError, SpecialisedSize
from tfcost.derive.interpolate import interpolate, sample_points
from tfcost.derive.memory import undominated
from tfcost.derive.peaks import interpolate_peaks
from tfcost.derive.sizes import size_symbol
from tfcost.derive.subject import Subject
from tfcost.derive.trace import ZERO, PassTrace
from tfcost.derive.tracer import Record

Trace = Callable[[Subject], PassTrace]
_MOST_SIZES = 2
# One more trace, well beyond the samples: past the sizes that code often treats apart (8, 16).
_FAR = 17


def traced_or_sampled(subject: Subject, trace: Trace) -> PassTrace:
    """`trace(subject)`; if a size does not stay symbolic, the same pass by exact interpolation in that size.

    Raises `DerivationError` if more than two sizes would have to be sampled, or if the cost is no polynomial in them.
    """
    names: list[str] = []
    reasons: list[str] = []
    while True:
        try:
            return _sampled(subject, names, trace) if names else trace(subject)
        except SpecialisedSize as reason:
            # A trace ends at the first line that needs a number; with that number given, another size may turn up.
            names += reason.names
            reasons.append(str(reason))
        except DerivationError as error:
            if not reasons:
                raise
            raise DerivationError(f"{error} ({'; '.join(reasons)})") from error
        if len(names) > _MOST_SIZES:
            raise DerivationError(f"{'; '.join(reasons)}; give all but {_MOST_SIZES} a value: --dim {names[0]}=N")


def _sampled(subject: Subject, names: Sequence[str], trace: Trace) -> PassTrace:
    traces = {tuple(point.values()): _trace_at(point, subject, trace) for point in sample_points(names)}

    def whole(get: Callable[[PassTrace], sp.Expr]) -> sp.Expr:
        return interpolate(names, {point: get(found) for point, found in traces.items()})

    first = next(iter(traces.values()))
    sram = {sp.Max(0, *found.sram_bytes) for found in traces.values()}
    if len(sram) > 1:
        raise DerivationError(f"the on-chip memory of a kernel depends on {', '.join(names)}, which is no symbol here")
    peaks = interpolate_peaks(names, {point: found.peak for point, found in traces.items()})
    remarks = dict.fromkeys(note for found in traces.values() for note in found.notes)
    found = replace(
        first,
        records=_records(names, {point: found.records for point, found in traces.items()}),
        peak=peaks.candidates,
        unique_bytes=whole(lambda found: found.unique_bytes),
        saved_bytes=None if first.saved_bytes is None else whole(lambda found: found.saved_bytes or ZERO),
        parameters=whole(lambda found: found.parameters),
        parameter_bytes=whole(lambda found: found.parameter_bytes),
        given_bytes=whole(lambda found: found.given_bytes),
        input_bytes=whole(lambda found: found.input_bytes),
        notes=(
            *remarks,
            *(
                _supposed(name, [point[place] for point in traces], peaks.holds_from[name])
                for place, name in enumerate(names)
            ),
        ),
        extra=_extra(names, traces),
        provenance="interpolated",
        any_width=all(found.any_width for found in traces.values()),
        held={},
        saved=(),
    )
    far = dict.fromkeys(names, _FAR)
    _confirm(found, _trace_at(far, subject, trace), far)
    return found


def _extra(names: Sequence[str], traces: Mapping[tuple[int, ...], PassTrace]) -> dict[str, tuple[sp.Expr, ...]]:
    """What a chain of parts needs to know, each entry a set of candidates."""
    entries = next(iter(traces.values())).extra
    return {
        entry: interpolate_peaks(names, {point: found.extra[entry] for point, found in traces.items()}).candidates
        for entry in entries
    }


def part_traced_or_sampled(
    subject: Subject, trace: Callable[[Subject], tuple[PassTrace, PassTrace]]
) -> tuple[PassTrace, PassTrace]:
    """Both passes of a part of a chain, as `traced_or_sampled` gives one."""
    try:
        return trace(subject)
    except SpecialisedSize:
        forward, backward = (traced_or_sampled(subject, lambda one, place=place: trace(one)[place])  # type: ignore[misc]
                             for place in (0, 1))  # fmt: skip
        return forward, backward


def _trace_at(point: Mapping[str, int], subject: Subject, trace: Trace) -> PassTrace:
    """The pass with the sizes of `point` fixed."""
    remaining = tuple(name for name in subject.sizes if name not in point)
    try:
        return trace(replace(subject, sizes=remaining, fixed={**subject.fixed, **point}))
    except SpecialisedSize:
        raise
    except DerivationError as error:
        raise DerivationError(f"{error}, at {_listed(point)}") from error


def _listed(point: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in point.items())


def _confirm(found: PassTrace, far: PassTrace, point: Mapping[str, int]) -> None:
    """Raises `DerivationError` unless `found` gives at `point` what the trace there does. Code that treats small sizes
    apart agrees with itself in all samples.
    """
    values = {size_symbol(name): sp.Integer(value) for name, value in point.items()}

    def there(candidates: Iterable[sp.Expr]) -> set[sp.Expr]:
        return set(undominated(sp.expand(candidate.xreplace(values)) for candidate in candidates))

    if any(there([mine]) != there([real]) for mine, real in zip(_sums(found), _sums(far), strict=True)):
        raise DerivationError(f"the cost at {_listed(point)} is not what traces at smaller sizes lead to")
    if there(found.peak) != there(far.peak):
        raise DerivationError(f"peak memory at {_listed(point)} is not what traces at smaller sizes lead to")


def _sums(trace: PassTrace) -> list[sp.Expr]:
    amounts = [sp.Add(*(getattr(record, name) for record in trace.records)) for name in AMOUNTS]
    return [*amounts, trace.unique_bytes, trace.saved_bytes or ZERO, trace.parameters, trace.given_bytes]


def _supposed(name: str, values: Sequence[int], peak_from: int) -> str:
    """How far the traces reach that an interpolation in `name` rests on."""
    least = min(values)
    later = f"; peak memory from {name} = {peak_from} on" if peak_from > least else ""
    how = f"{name} by exact interpolation of traces at {least} to {max(values)}, checked at {_FAR}"
    return f"{name} >= {least}: {how}{later}"


def _records(names: Sequence[str], runs: Mapping[tuple[int, ...], Sequence[Record]]) -> tuple[Record, ...]:
    """One record per operation and source line, its amounts summed over repetitions and interpolated.

    Launches of one kernel are taken together. How many there are depends on the sampled sizes; it is given as one.
    """
    totals: dict[Record, dict[tuple[int, ...], Record]] = {}
    for point, records in runs.items():
        for record in records:
            kernel = record.launch.partition("#")[0]
            empty = replace(record, **dict.fromkeys(AMOUNTS, ZERO), launch=kernel, launches=min(1, record.launches))
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
