"""The source document's claims against measurements: points in; per claim the measured growth or ratios out.

A claim of a class is about growth along every measured size that it names. Where the measured slope over the last
doubling is that of the derived formula, the power of the term that rules the formula there is compared with the powers
in the claim; else the slope itself. No class is guessed from measurements: lower terms and tiles bend every slope at
sizes that can be run. A claim of a ratio is about pairs of runs that are else alike.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tfcost.analysis.polynomial import expand
from tfcost.analysis.ratios import DURATION
from tfcost.book import Book, Claim, TechniqueRecord
from tfcost.check.cells import TIME
from tfcost.check.derived import MODEL
from tfcost.check.growth import Slope, growth, powers_of, slopes
from tfcost.check.runs import Run, partner, single_runs, training_runs
from tfcost.check.sweeps import Point, Sweep, sweeps

QUANTITIES = {"time": "matmul_flops", "space": "peak_bytes", DURATION: TIME}
"""What is measured of the quantity that a claim speaks of."""

SAME_SLOPE, LIKE_A_POWER = 0.05, 0.15
"""How close the measured slope has to be to the derived one, and, where it is not, to the claim's powers."""

_FAR = 1.5
"""How many times the first size of a slope the last one has to be."""

_SCOPES = ("layer", "block", "core", "stack", "part", "model")


@dataclass(frozen=True, slots=True)
class MeasuredSlope:
    """The growth along one size of one sweep: the least and the greatest slope of the claim's terms, the measured slope
    and the derived one, that of time; the power of the largest term of the derived formula at the last size (None: it
    is no sum of powers); and the fitted coefficient of the largest power relative to the derived one, with its margin.
    """

    symbol: str
    stated: tuple[float, float]
    measured: float
    derived: float
    time: float | None
    power: int | None
    leading: tuple[float, float] | None

    @property
    def as_claimed(self) -> bool:
        """Whether the growth is the claim's: in the ruling power if measurement and formula agree, else in slope."""
        if self.power is not None and abs(self.measured - self.derived) <= SAME_SLOPE:
            return self.stated[0] <= self.power <= self.stated[1]
        return self.stated[0] - LIKE_A_POWER <= self.measured <= self.stated[1] + LIKE_A_POWER


@dataclass(frozen=True, slots=True)
class MeasuredRatio:
    """The measured ratio of one run to the one that the claim compares it with, and that of their times."""

    run: Run
    ratio: Fraction
    time: Fraction | None
    as_claimed: bool


@dataclass(frozen=True, slots=True)
class MeasuredClaim:
    """A claim of `technique` and what was measured of it at `scope`: slopes for a class, ratios for a ratio."""

    technique: str
    claim: Claim
    scope: str
    slopes: tuple[MeasuredSlope, ...] = ()
    ratios: tuple[MeasuredRatio, ...] = ()

    @property
    def holds(self) -> bool | None:
        """Whether every slope or ratio is as claimed; None if nothing was measured."""
        found = [one.as_claimed for one in self.slopes]
        found += [one.as_claimed for one in self.ratios]
        return all(found) if found else None


def measured_claims(book: Book, points: Sequence[Point], techniques: Sequence[str] = ()) -> list[MeasuredClaim]:
    """Every claim of every technique of `book` (of `techniques` alone, if any are named), in the order of the
    document's sections, measured or not. `points` are those of all techniques: some are compared with others.
    """
    chosen = [record for name, record in book.techniques.items() if not techniques or name in techniques]
    records = sorted(chosen, key=lambda record: (record.section, record.technique))
    found = [_measured(record, claim, points) for record in records for claim in record.claims]
    return sorted(found, key=lambda one: one.claim.section)


def _measured(record: TechniqueRecord, claim: Claim, points: Sequence[Point]) -> MeasuredClaim:
    if claim.step:
        return MeasuredClaim(record.technique, claim, "")
    if claim.ratio is not None:
        return _with_ratios(record, claim, points)
    own = [point for point in points if _is_default(record, point)]
    found = []
    for scope in _SCOPES:
        there = [point for point in own if point.measurement.case.scope == scope]
        measured = tuple(one for sweep in sweeps(there, sorted(claim.formula.symbols)) for one in _slope(claim, sweep))
        if measured:
            found.append(MeasuredClaim(record.technique, claim, scope, measured))
    return min(found, key=lambda one: not one.holds, default=MeasuredClaim(record.technique, claim, ""))


def _with_ratios(record: TechniqueRecord, claim: Claim, points: Sequence[Point]) -> MeasuredClaim:
    """The claim at one scope: another technique is compared by the core alone, if that was measured."""
    ratios = list(_ratios(record, claim, points))
    for scope in ("core", "stack", *_SCOPES):
        if there := tuple(ratio for ratio in ratios if ratio.run.case.scope == scope):
            return MeasuredClaim(record.technique, claim, scope, ratios=there)
    return MeasuredClaim(record.technique, claim, "")


def _is_default(record: TechniqueRecord, point: Point) -> bool:
    """Whether the technique ran as it is by default, in its first pass and in half precision."""
    case = point.measurement.case
    if {cost.scope for cost in record.costs} == {"part"}:
        return case.technique == MODEL and case.pass_ == "forward"
    passes = {cost.pass_ for cost in record.costs}
    default = "forward" if "forward" in passes else next(cost.pass_ for cost in record.costs)
    return (
        case.technique == record.technique
        and case.pass_ == default
        and case.dtype != "float32"
        and all(case.variant.get(name, option.default) == option.default for name, option in record.options.items())
    )


def _slope(claim: Claim, sweep: Sweep) -> Iterator[MeasuredSlope]:
    """The slope over the last doubling of `sweep`; none if it is not long enough or was not measured."""
    quantity = QUANTITIES.get(claim.quantity, claim.quantity)
    last = _last(slopes(sweep, quantity))
    if last is None or last.last < _FAR * last.first:
        return
    time = _last(slopes(sweep, TIME))
    yield MeasuredSlope(
        sweep.symbol,
        _stated(claim, sweep.symbol),
        last.measured,
        last.derived,
        time.measured if time else None,
        _ruling(sweep, quantity),
        _leading(sweep, quantity),
    )


def _stated(claim: Claim, symbol: str) -> tuple[float, float]:
    """The powers of `symbol` in the terms of the claim: constants decide which of them is seen at which size."""
    powers = [float(dict(monomial).get(symbol, 0)) for monomial in expand(claim.formula.tree)]
    return min(powers), max(powers)


def _ruling(sweep: Sweep, quantity: str) -> int | None:
    """The power of the derived formula's largest term at the largest size."""
    powers, size = powers_of(sweep.last, sweep.symbol, quantity) or {}, Fraction(sweep.last.size(sweep.symbol))
    return max(powers, key=lambda power: abs(powers[power]) * size**power, default=None)


def _last(found: Iterable[Slope]) -> Slope | None:
    return max(found, key=lambda slope: slope.last, default=None)


def _leading(sweep: Sweep, quantity: str) -> tuple[float, float] | None:
    """The fitted coefficient of the largest power and its margin, relative to the derived coefficient."""
    found = growth(sweep, quantity)
    if found is None:
        return None
    term = found.terms[0]
    return float(term.fitted.value / term.derived), term.fitted.margin / abs(float(term.derived))


def _ratios(record: TechniqueRecord, claim: Claim, points: Sequence[Point]) -> Iterator[MeasuredRatio]:
    """Every measured pair, of single passes for another technique, of training steps for other options."""
    assert claim.ratio is not None
    least, most = (Fraction(bound.evaluate({})) for bound in claim.ratio)
    other = claim.than or record.technique
    concerned = [
        point
        for point in points
        if point.measurement.case.technique in (record.technique, other) and point.measurement.case.dtype != "float32"
    ]
    runs = single_runs(concerned) if claim.than else training_runs(concerned)
    quantity = QUANTITIES[claim.quantity]
    for run in runs:
        if run.case.technique != record.technique or (compared := partner(run, runs, other, claim.against)) is None:
            continue
        ours, theirs = run.value(quantity), compared.value(quantity)
        if compared is not run and ours and theirs:
            ratio, times = Fraction(ours) / Fraction(theirs), (run.value(TIME), compared.value(TIME))
            time = Fraction(times[0]) / Fraction(times[1]) if times[0] and times[1] else None
            yield MeasuredRatio(run, ratio, time, least <= ratio <= most)
