"""Claims that one choice costs so many times what another does: claim and query in; the derived ratio out, and the
lengths n at which it is as claimed.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from tfcost.analysis.answer import TIME, total
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.dominance import LONGEST
from tfcost.analysis.query import Query
from tfcost.analysis.segments import Segments, segments
from tfcost.book import Book, Claim
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

_ALONG = "n"
_TRAINING = "train"

CLAIMED = {"time": TIME, "space": ("peak_bytes",)}
"""The quantities that a claim's word stands for; their sum is what it speaks of."""


@dataclass(frozen=True, slots=True)
class Change:
    """`ratio` of a quantity as asked for to what it is against; `claimed` its bounds; `holds` the ranges (first, last)
    of n, the other sizes as they are, in which it is between them; none if the formulas leave that open.
    """

    ratio: Fraction
    claimed: tuple[Fraction, Fraction]
    holds: tuple[tuple[int, int], ...]

    @property
    def agrees(self) -> bool:
        """Whether the ratio at the sizes asked for is as claimed."""
        return self.claimed[0] <= self.ratio <= self.claimed[1]

    @property
    def text(self) -> str:
        """What the ratio adds or takes away: "+22.3 %"."""
        return _percent(self.ratio)

    @property
    def stated(self) -> str:
        """The same for the bounds: "+20.0 % to +30.0 %"."""
        return " to ".join(map(_percent, self.claimed))

    @property
    def where(self) -> str:
        """The ranges in words ("": nowhere that is known)."""
        if self.agrees and not self.holds:
            return "these sizes"
        return " or ".join(_range(first, last) for first, last in self.holds)


def change(claim: Claim, query: Query, book: Book) -> tuple[str, Change] | None:
    """The scope at which the technique of `query` has a training step, and what the claim about its ratio comes to
    there; None if it has none of it, or if the query is itself what the claim compares with.
    """
    scope = next((cost.scope for cost in book.record(query.technique).costs if cost.pass_ == _TRAINING), None)
    if claim.ratio is None or scope is None or all(query.options.get(k) == v for k, v in claim.against.items()):
        return None
    asked = replace(query, scope=scope, pass_=_TRAINING)
    against = replace(asked, options={**query.options, **claim.against})
    try:
        ours, theirs = (_formula(claim, each.cost(book)) for each in (asked, against))
    except UserError:
        return None
    if not theirs.evaluate(query.values):
        return None
    bounds = (Fraction(claim.ratio[0].evaluate({})), Fraction(claim.ratio[1].evaluate({})))
    ratio = Fraction(ours.evaluate(query.values)) / Fraction(theirs.evaluate(query.values))
    try:
        holds = _ranges(ours, theirs, bounds, query.values)
    except Undecided:
        holds = ()
    return scope, Change(ratio, bounds, holds)


def _percent(ratio: Fraction) -> str:
    """A ratio as a change in percent."""
    return f"{float(100 * (ratio - 1)):+.1f} %"


def _formula(claim: Claim, cost: Cost) -> Formula:
    names = CLAIMED.get(claim.quantity, (claim.quantity,))
    return total(cost.quantities[name].exact for name in names if name in cost.quantities)


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
