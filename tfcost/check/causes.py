"""Where a change comes from: the parts of a quantity then and now in; those that differ, with a source line, out."""

from collections.abc import Mapping

from tfcost.analysis import polynomial as poly
from tfcost.check.equal import same
from tfcost.check.finding import Cause
from tfcost.check.parts import Key, Part, Source
from tfcost.check.sight import Sight
from tfcost.formula import Formula

_MOST = 8
_ZERO = Formula("0")


def causes_of_change(old: Mapping[Key, Formula], new: Mapping[Key, Part], sight: Sight) -> list[Cause]:
    """The parts that cost something else than before, those that changed most first."""
    changed = [key for key in dict.fromkeys((*new, *old)) if not same(old.get(key, _ZERO), _amount(new, key))]
    changed.sort(key=lambda key: -abs(sight.value(_amount(new, key)) - sight.value(old.get(key, _ZERO))))
    return [_cause(key, old.get(key), new.get(key), sight) for key in changed[:_MOST]]


def causes_of_size(parts: Mapping[Key, Part], sight: Sight, allowed: Formula | None = None) -> list[Cause]:
    """The parts that make a quantity as large as it is: those whose class is more than `allowed`, or the largest."""
    beyond = [key for key, part in parts.items() if allowed and sight.within(part.amount, allowed) is False]
    ordered = sorted(beyond or parts, key=lambda key: -sight.value(parts[key].amount))
    return [_cause(key, None, parts[key], sight) for key in ordered[: _MOST if beyond else 3]]


def _amount(parts: Mapping[Key, Part], key: Key) -> Formula:
    return parts[key].amount if key in parts else _ZERO


def _cause(key: Key, old: Formula | None, new: Part | None, sight: Sight) -> Cause:
    source = _source(old, new, sight) if new else None
    return Cause(
        step=key[0], operation=key[1], location=source.location if source else "", code=source.code if source else "",
        old=_short(old, sight) if old else "", new=_short(new.amount, sight) if new else "",
    )  # fmt: skip


def _source(old: Formula | None, new: Part, sight: Sight) -> Source:
    """The line to show: of several, the last whose amount is what was added, else the one that costs most."""
    placed = [source for source in new.sources if source.location] or list(new.sources)
    if old is not None:
        added = poly.difference(poly.expand(new.amount.tree), poly.expand(old.tree))
        for source in reversed(placed):
            if not poly.difference(poly.expand(source.amount.tree), added):
                return source
    return max(placed, key=lambda source: sight.value(source.amount))


def _short(formula: Formula, sight: Sight, most: int = 120) -> str:
    text = sight.short(formula).pretty()
    return text if len(text) <= most else f"{text[: most - 1]}…"
