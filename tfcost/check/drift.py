"""Derived formulas against those of the lock file: lines of a target then and now in; what changed, and where, out."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from tfcost.check.causes import causes_of_change
from tfcost.check.equal import same
from tfcost.check.finding import Finding
from tfcost.check.lock import Line
from tfcost.check.parts import SHARED, Part, parts_of
from tfcost.check.sight import Sight
from tfcost.errors import UserError
from tfcost.formula import Formula

# Times a target's sizes, at which a change within its tolerance must be one.
_SCALES = (1, 2, 16, 256)
_LONG = 160
_UPDATE = "if that is meant, run 'tfcost check --update'"


def lines_of(target: str, sights: Sequence[Sight]) -> dict[Line, Formula]:
    """What the lock file holds of a target: every quantity of its passes, and the parts of each."""
    found: dict[Line, Formula] = {}
    for sight in sights:
        for quantity, value in sight.cost.quantities.items():
            head = (target, sight.cost.pass_, quantity)
            found[head] = value.exact
            parts = parts_of(sight, quantity)
            found |= {(*head, *key): part.amount for key, part in parts.items()}
    return found


def drift(
    target: str, locked: Mapping[Line, Formula], sights: Sequence[Sight], tolerance: Mapping[str, Fraction]
) -> Iterator[Finding]:
    """A finding for every quantity of `target` that is not what the lock file says it was."""
    if not locked:
        yield Finding("drift", target, f"{target} is not in the lock file; run 'tfcost check --update'")
        return
    for sight in sights:
        yield from _pass_drift(target, locked, sight, tolerance)
    derived = {(sight.cost.pass_, quantity) for sight in sights for quantity in sight.cost.quantities}
    for line, formula in locked.items():
        if len(line) == 3 and line[1:] not in derived:
            message = f"{target}/{line[1]}/{line[2]} is gone; the lock file has {formula.pretty()}"
            yield Finding("drift", target, message, "error", line[1], line[2], (_UPDATE,))


def _pass_drift(
    target: str, locked: Mapping[Line, Formula], sight: Sight, tolerance: Mapping[str, Fraction]
) -> Iterator[Finding]:
    pass_ = sight.cost.pass_
    for quantity, value in sight.cost.quantities.items():
        old = locked.get((target, pass_, quantity))
        if old is None:
            message = f"{target}/{pass_}/{quantity} is new: {sight.short(value.exact).pretty()}"
            yield Finding("drift", target, message, "error", pass_, quantity, (_UPDATE,))
        elif not same(old, value.exact) and not _tolerated(old, value.exact, sight, tolerance.get(quantity)):
            yield _changed(target, quantity, old, value.exact, locked, sight)


def _tolerated(old: Formula, new: Formula, sight: Sight, share: Fraction | None) -> bool:
    """Whether the class is the same and, at sizes like the target's, the value moves by no more than `share`."""
    if not share:
        return False
    before, after = sight.class_of(old), sight.class_of(new)
    if before is None or after is None or before.text != after.text:
        return False
    for scale in _SCALES:
        values = {name: size if name in sight.fixed else size * scale for name, size in sight.values.items()}
        try:
            was, now = Fraction(old.evaluate(values)), Fraction(new.evaluate(values))
        except UserError:
            return False
        if abs(now - was) > share * abs(was):
            return False
    return True


def _changed(
    target: str, quantity: str, old: Formula, new: Formula, locked: Mapping[Line, Formula], sight: Sight
) -> Finding:
    finding = Finding("drift", target, "", "error", sight.cost.pass_, quantity)
    before, after = sight.class_of(old), sight.class_of(new)
    ratio = _ratio(old, new, sight)
    class_change = before is not None and after is not None and before.text != after.text
    if class_change and before and after:
        message = f"{finding.place} went from {before.pretty()} to {after.pretty()}"
    else:
        was, now = told_apart(old, new, sight)
        message = f"{finding.place} changed{_times(ratio)}: {was} -> {now}"
    details = (
        *([f"then {shortened(old, sight)}", f"now  {shortened(new, sight)}"] if class_change else []),
        *([f"x{ratio:.3g} at {sizes}"] if ratio and (sizes := sight.told_sizes(old, new)) else []),
        _UPDATE,
    )
    causes = causes_of_change(*_parts(target, quantity, locked, sight), sight)
    weight = _weight(class_change, ratio, bool(causes) and quantity not in SHARED)
    return Finding("drift", target, message, "error", sight.cost.pass_, quantity, details, causes, weight)


def _weight(class_change: bool, ratio: float | None, points_somewhere: bool) -> float:
    """Another class before more of the same, more before less; what points at its own cause before what does not."""
    weight = (100.0 if class_change else 0.0) + (min(ratio, 90.0) if ratio and ratio > 1 else 0.5)
    return weight if points_somewhere else weight / 2


def _parts(
    target: str, quantity: str, locked: Mapping[Line, Formula], sight: Sight
) -> tuple[dict[tuple[str, str], Formula], dict[tuple[str, str], Part]]:
    """The parts then and now: the quantity's own, or those of the one that it shares its reasons with."""
    quantity = SHARED.get(quantity, quantity)
    head = (target, sight.cost.pass_, quantity)
    old = {(line[3], line[4]): formula for line, formula in locked.items() if line[:3] == head and len(line) == 5}
    return old, parts_of(sight, quantity)


def _ratio(old: Formula, new: Formula, sight: Sight) -> float | None:
    was, now = sight.value(old), sight.value(new)
    return now / was if was > 0 and now > 0 else None


def _times(ratio: float | None) -> str:
    return f" (x{ratio:.3g})" if ratio and not 0.9995 < ratio < 1.0005 else ""


def told_apart(old: Formula, new: Formula, sight: Sight) -> tuple[str, str]:
    """Both in their short forms; in their exact ones where those are the same, as with another rounding."""
    short = shortened(old, sight), shortened(new, sight)
    return short if short[0] != short[1] else (old.pretty()[:_LONG], new.pretty()[:_LONG])


def shortened(formula: Formula, sight: Sight, most: int = _LONG) -> str:
    """The form of `formula` to show, of at most so many characters."""
    text = sight.short(formula).pretty()
    return text if len(text) <= most else f"{text[: most - 1]}…"
