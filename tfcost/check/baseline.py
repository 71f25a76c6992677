"""Measured time and memory against those of an earlier run on the same kind of GPU: two runs in, what got worse out.

A case is slower only if the median of each of several runs is, by more than the noise of both; cases are judged one by
one, never by a mean over them. Peak memory does not scatter: it is compared as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tfcost.check.finding import Finding
from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Evidence, Measurement, Timing

RUNS = 3
"""How often a case that seems slower is measured before it is called so."""

LEAST = Fraction(5, 100)
"""The least slowdown that is told; clocks alone move times by a few per cent."""

_SPREADS = 3


@dataclass(frozen=True, slots=True)
class Worse:
    """A case that takes more of `quantity` ("time", "peak_bytes") than it did: the figures then and now."""

    measurement: Measurement
    quantity: str
    then: float
    now: float

    @property
    def ratio(self) -> float:
        """Now by then."""
        return self.now / self.then


def baseline_path(config: Path) -> Path:
    """The baseline that belongs to a configuration: beside it, tfcost.baseline.json for tfcost.yaml."""
    return config.with_suffix(".baseline.json")


def check_same_gpu(baseline: Evidence, run: Evidence) -> None:
    """CannotMeasure, naming both, unless the two were measured on the same kind of GPU."""
    then, now = ({environment.gpu for environment in evidence.environments} for evidence in (baseline, run))
    if then != now:
        names = [" and ".join(sorted(gpus)) or "none" for gpus in (then, now)]
        raise CannotMeasure(f"the baseline was measured on {names[0]}, this GPU is {names[1]}: times do not compare; "
                            "record a baseline of its own: tfcost check --update --measure")  # fmt: skip


def worse(
    baseline: Evidence, runs: Sequence[Evidence], tolerance: Mapping[str, Fraction] | None = None
) -> Iterator[Worse]:
    """What got worse in every one of `runs` that has the case. CannotMeasure for another kind of GPU."""
    for run in runs:
        check_same_gpu(baseline, run)
    shares = tolerance or {}
    known = _by_case(baseline)
    found = [_by_case(run) for run in runs]
    for key in found[0] if found else ():
        if key in known:
            new = [run[key] for run in found if key in run]
            yield from _slower(known[key], new, shares.get("time", LEAST))
            yield from _larger(known[key], new, shares.get("peak_bytes", Fraction(0)))


def _slower(old: Measurement, new: Sequence[Measurement], share: Fraction) -> Iterator[Worse]:
    timings = [one.timing for one in new if one.timing is not None]
    if old.timing is None or len(timings) < len(new):
        return
    then = old.timing
    if all(now.median > then.median * (1 + _noise(then, now, share)) for now in timings):
        # The best of the runs: what the code can still do.
        yield Worse(new[0], "time", then.median, min(now.median for now in timings))


def _noise(then: Timing, now: Timing, share: Fraction) -> float:
    """By what part a median may differ and mean nothing: a few times the spread of either, at least `share`."""
    spreads = [(timing.high - timing.low) / (2 * timing.median) for timing in (then, now)]
    return max(float(share), *(_SPREADS * spread for spread in spreads))


def _larger(old: Measurement, new: Sequence[Measurement], share: Fraction) -> Iterator[Worse]:
    peaks = [one.memory.peak_bytes for one in new if one.memory is not None]
    if old.memory is not None and peaks and min(peaks) > old.memory.peak_bytes * (1 + share):
        yield Worse(new[0], "peak_bytes", old.memory.peak_bytes, min(peaks))


def _by_case(evidence: Evidence) -> dict[str, Measurement]:
    return {one.case.key: one for one in evidence.measurements if one.outcome == "measured"}


def findings(target: str, found: Sequence[Worse]) -> list[Finding]:
    """The findings about a target, one per case and quantity."""
    told = []
    for one in found:
        case = one.measurement.case
        about = Finding("drift", target, "", pass_=case.pass_, quantity=one.quantity)
        sizes = ", ".join(f"{name}={size}" for name, size in sorted(case.sizes.items()))
        figures = f"{one.then * 1e6:,.1f} µs -> {one.now * 1e6:,.1f} µs" if one.quantity == "time" else (
            f"{one.then:,.0f} B -> {one.now:,.0f} B")  # fmt: skip
        message = f"{about.place} measured (x{one.ratio:.3g}): {figures}"
        details = (f"at {sizes}, {case.dtype}",)
        told.append(Finding("drift", target, message, "error", case.pass_, one.quantity, details, (), one.ratio))
    return told
