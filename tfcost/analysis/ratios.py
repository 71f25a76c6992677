"""Claims that one choice costs so many times what another does: claim and query in; the derived ratio out, and the
lengths n at which it is as claimed.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tfcost.analysis.answer import TIME, total
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.devices import DEFAULT_DEVICE, load_device
from tfcost.analysis.dominance import LONGEST
from tfcost.analysis.predict import predict
from tfcost.analysis.query import Query
from tfcost.analysis.segments import Segments, segments
from tfcost.analysis.shown import along_n
from tfcost.book import Book, Claim
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

_ALONG = "n"
_TRAINING = "train"

CLAIMED = {"time": TIME, "space": ("peak_bytes",)}
"""The quantities that a claim's word stands for; their sum is what it speaks of."""

DURATION = "duration"
"""A claim's word for seconds: only a prediction or a measurement has them."""

_TRIED = tuple(2**power for power in range(7, 21))


@dataclass(frozen=True, slots=True)
class Change:
    """`ratio` of a quantity as asked for to what it is against; `claimed` its bounds; `holds` the ranges (first, last)
    of n, the other sizes as they are, in which it is between them; none if the formulas leave that open. With `times`
    it is told as how many times as fast, else as what is added or taken away.
    """

    ratio: Fraction
    claimed: tuple[Fraction, Fraction]
    holds: tuple[tuple[int, int], ...]
    times: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the ratio at the sizes asked for is as claimed."""
        return self.claimed[0] <= self.ratio <= self.claimed[1]

    @property
    def text(self) -> str:
        """What the ratio adds or takes away, "+22.3 %", or how many times as fast it is."""
        return ratio_text(self.ratio, self.times) + (", predicted" if self.times else "")

    @property
    def stated(self) -> str:
        """The same for the bounds: "+20.0 % to +30.0 %", "3.0 to 5.0 times as fast"."""
        return range_text(*self.claimed, self.times)

    @property
    def where(self) -> str:
        """The ranges in words ("": nowhere that is known)."""
        if self.agrees and not self.holds:
            return "these sizes"
        return " or ".join(_range(first, last) for first, last in self.holds)


def change(claim: Claim, query: Query, book: Book) -> tuple[str, Change] | None:
    """The scope that the claim about a ratio is checked at, and what it comes to there: for the training step of the
    technique of `query` if the claim compares its options, for the query's own pass if it names another technique.

    None if there is no such pass, or if the query is itself what the claim compares with.
    """
    if claim.ratio is None or (pair := _pair(claim, query, book)) is None:
        return None
    try:
        costs = [one.cost(book) for one in pair]
        bounds = (Fraction(claim.ratio[0].evaluate({})), Fraction(claim.ratio[1].evaluate({})))
        if claim.quantity == DURATION:
            return pair[0].scope, _duration_change(costs, pair, bounds)
        ours, theirs = (_formula(claim, cost, query.values) for cost in costs)
    except UserError:
        return None
    if not theirs.evaluate(query.values):
        return None
    ratio = Fraction(ours.evaluate(query.values)) / Fraction(theirs.evaluate(query.values))
    try:
        holds = _ranges(ours, theirs, bounds, query.values)
    except Undecided:
        holds = ()
    return pair[0].scope, Change(ratio, bounds, holds)


def _pair(claim: Claim, query: Query, book: Book) -> tuple[Query, Query] | None:
    """What the claim speaks of and what it compares that with."""
    if claim.than:
        scopes = [scope for scope in ("core", query.scope) if _has(claim.than, scope, query.pass_, book)]
        if not scopes:
            return None
        ours = replace(query, scope=scopes[0])
        options = {name: option.default for name, option in book.record(claim.than).options.items()}
        same = {name: query.options[name] for name in options if name in query.options}
        return ours, replace(ours, technique=claim.than, options={**options, **same, **claim.against})
    scope = next((cost.scope for cost in book.record(query.technique).costs if cost.pass_ == _TRAINING), None)
    if scope is None or all(query.options.get(name) == value for name, value in claim.against.items()):
        return None
    ours = replace(query, scope=scope, pass_=_TRAINING)
    return ours, replace(ours, options={**query.options, **claim.against})


def _has(technique: str, scope: str, pass_: str, book: Book) -> bool:
    return technique in book.names and any(
        (cost.scope, cost.pass_) == (scope, pass_) for cost in book.record(technique).costs
    )


def _duration_change(costs: Sequence[Cost], pair: Sequence[Query], bounds: tuple[Fraction, Fraction]) -> Change:
    """The ratio of predicted times, which have no closed form: `holds` are ranges of the lengths that are tried."""
    device, values = load_device(DEFAULT_DEVICE), pair[0].values

    def ratio(n: int) -> Fraction:
        at = {**values, _ALONG: n, **({"m": n} if values.get("m") == values[_ALONG] else {})}
        ours, theirs = (predict(cost, at, device, one.dtype).seconds for cost, one in zip(costs, pair, strict=True))
        return Fraction(ours) / Fraction(theirs)

    holds: list[tuple[int, int]] = []
    for before, n in zip((0, *_TRIED), _TRIED, strict=False):
        if bounds[0] <= ratio(n) <= bounds[1]:
            joins = bool(holds) and holds[-1][1] == before
            holds[-1:] = [(holds[-1][0], n)] if joins else [*holds[-1:], (n, n)]
    return Change(ratio(values[_ALONG]), bounds, tuple(holds), times=True)


def ratio_text(ratio: Fraction, times: bool) -> str:
    """A ratio as a change, "+22.3 %", or with `times` as a speed, "4.0 times as fast"."""
    return f"{float(1 / ratio):.1f} times as fast" if times else f"{float(100 * (ratio - 1)):+.1f} %"


def range_text(least: Fraction, most: Fraction, times: bool) -> str:
    """The same for everything from one ratio to another."""
    if least == most:
        return ratio_text(least, times)
    if times:
        return f"{float(1 / most):.1f} to {ratio_text(least, times)}"
    return f"{ratio_text(least, times)} to {ratio_text(most, times)}"


def _formula(claim: Claim, cost: Cost, values: Mapping[str, int]) -> Formula:
    names = CLAIMED.get(claim.quantity, (claim.quantity,))
    return along_n(total(cost.quantities[name].exact for name in names if name in cost.quantities), values)


def _ranges(
    ours: Formula, theirs: Formula, bounds: tuple[Fraction, Fraction], values: Mapping[str, int]
) -> tuple[tuple[int, int], ...]:
    """Where bounds[0]*theirs <= ours <= bounds[1]*theirs, along n."""
    others = [{name: values[name] for name in formula.symbols - {_ALONG}} for formula in (ours, theirs)]
    one, two = (formula.substitute(known).tree for formula, known in zip((ours, theirs), others, strict=True))
    signs = [segments(t.add([one, t.multiply([t.Number(-bound), two])]), _ALONG, 1, LONGEST) for bound in bounds]
    starts = sorted({start for found in signs for start, _ in found})
    found: list[tuple[int, int]] = []
    for start, end in zip(starts, [*starts[1:], LONGEST + 1], strict=True):
        low, high = (_sign_at(segment, start) for segment in signs)
        if low is not None and high is not None and low >= 0 >= high:
            if found and found[-1][1] == start - 1:
                found[-1] = (found[-1][0], end - 1)
            else:
                found.append((start, end - 1))
    return tuple(found)


def _sign_at(found: Segments, place: int) -> int | None:
    return found[bisect_right([start for start, _ in found], place) - 1][1]


def _range(first: int, last: int) -> str:
    if last == LONGEST:
        return f"{_ALONG} >= {first}"
    return f"{_ALONG} <= {last}" if first == 1 else f"{first} <= {_ALONG} <= {last}"
