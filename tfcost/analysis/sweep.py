"""A comparison along n: what makes a contender at one length in; its amounts at every length, and the meetings, out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tfcost.analysis.meetings import TIME, Contender, Meeting, meetings
from tfcost.analysis.polynomial import Exact
from tfcost.errors import UserError

Amounts = tuple[Exact | float | None, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Contenders at one scope at every length of `places`.

    `amounts` are by quantity and name, one per place, None where a contender's formulas do not apply; `gaps` says why
    by name. `contenders` are those of the longest length that applies, whose formulas the `meetings` are of; `varied`
    are the names of those whose formulas are others at other lengths.
    """

    scope: str
    places: tuple[int, ...]
    contenders: tuple[Contender, ...]
    amounts: Mapping[str, Mapping[str, Amounts]]
    meetings: tuple[Meeting, ...]
    gaps: Mapping[str, str]
    varied: frozenset[str]


def sweep(
    scope: str,
    makers: Mapping[str, Callable[[int], Contender]],
    places: Sequence[int],
    quantities: Sequence[str],
) -> Sweep:
    """Evaluates what `makers` make at each of `places`, by name, in `quantities` and predicted time.

    A maker raises UserError at a length that its formulas do not apply to; if it does so at all, that error is raised.
    """
    rows: dict[str, list[Contender | None]] = {}
    gaps: dict[str, str] = {}
    for name, make in makers.items():
        rows[name] = [_made(make, place, name, gaps) for place in places]
        if not any(rows[name]):
            make(places[-1])
    last = {name: next(one for one in reversed(row) if one) for name, row in rows.items()}
    present = [name for name in quantities if any(name in one.formulas for one in last.values())]
    amounts = {
        quantity: {name: tuple(one.amount(quantity, at) if one else None for one, at in zip(row, places, strict=True))
                   for name, row in rows.items() if quantity == TIME or quantity in last[name].formulas}
        for quantity in (*present, TIME)
    }  # fmt: skip
    varied = {name for name, row in rows.items() for one in row if one and one.formulas != last[name].formulas}
    contenders = tuple(last.values())
    found = meetings(contenders, quantities)
    return Sweep(scope, tuple(places), contenders, amounts, found, gaps, frozenset(varied))


def _made(make: Callable[[int], Contender], place: int, name: str, gaps: dict[str, str]) -> Contender | None:
    try:
        return make(place)
    except UserError as error:
        gaps.setdefault(name, str(error))
        return None
