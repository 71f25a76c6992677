"""Symbolic truth values: what a mask or a branch condition says about lanes, counters and sizes.

A condition is `expr >= 0`, a conjunction, a disjunction, a negation, or undecided (it depends on loaded data).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfcost.derive.integers.poly import Atom, Poly, Var
from tfcost.derive.integers.prove import is_nonnegative
from tfcost.derive.integers.rewrite import rewrite


@dataclass(frozen=True, slots=True)
class AtLeastZero:
    """True where the integer `expr` is not negative."""

    expr: Poly


@dataclass(frozen=True, slots=True)
class All:
    """True where every part is; `All(())` is always true."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where some part is; `AnyOf(())` is never true."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where the part is false."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Undecided:
    """Depends on something that is not known when the cost is derived; `reason` says on what."""

    reason: str


Condition = AtLeastZero | All | AnyOf | Not | Undecided
TRUE, FALSE = All(()), AnyOf(())


def at_least(left: Poly, right: Poly) -> Condition:
    """Left >= right."""
    difference = left - right
    if is_nonnegative(difference):
        return TRUE
    return FALSE if is_nonnegative(-difference - 1) else AtLeastZero(difference)


def equal(left: Poly, right: Poly) -> Condition:
    """Left == right."""
    return both(at_least(left, right), at_least(right, left))


def both(*parts: Condition) -> Condition:
    """The conjunction."""
    flat: dict[Condition, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, All) else (part,)))
    if FALSE in flat:
        return FALSE
    return next(iter(flat)) if len(flat) == 1 else All(tuple(flat))


def either(*parts: Condition) -> Condition:
    """The disjunction."""
    flat: dict[Condition, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, AnyOf) else (part,)))
    if TRUE in flat:
        return TRUE
    return next(iter(flat)) if len(flat) == 1 else AnyOf(tuple(flat))


def negation(part: Condition) -> Condition:
    """The opposite."""
    if isinstance(part, AtLeastZero):
        return AtLeastZero(-part.expr - 1)
    if isinstance(part, Not):
        return part.part
    if part in (TRUE, FALSE):
        return FALSE if part == TRUE else TRUE
    return part if isinstance(part, Undecided) else Not(part)


def moved(condition: Condition, replacements: Mapping[Atom, Poly]) -> Condition:
    """The condition with variables replaced."""
    if isinstance(condition, AtLeastZero):
        return AtLeastZero(rewrite(condition.expr, replacements))
    if isinstance(condition, All):
        return both(*(moved(part, replacements) for part in condition.parts))
    if isinstance(condition, AnyOf):
        return either(*(moved(part, replacements) for part in condition.parts))
    return negation(moved(condition.part, replacements)) if isinstance(condition, Not) else condition


def reasons(condition: Condition) -> Iterator[str]:
    """What the undecided parts depend on."""
    if isinstance(condition, Undecided):
        yield condition.reason
    elif isinstance(condition, Not):
        yield from reasons(condition.part)
    elif isinstance(condition, All | AnyOf):
        for part in condition.parts:
            yield from reasons(part)


def loosened(condition: Condition, undecided: Condition = TRUE) -> Condition:
    """A decided condition that holds wherever this one may: undecided parts count as true."""
    if isinstance(condition, Undecided):
        return undecided
    if isinstance(condition, Not):
        return negation(loosened(condition.part, negation(undecided)))
    if isinstance(condition, All):
        return both(*(loosened(part, undecided) for part in condition.parts))
    if isinstance(condition, AnyOf):
        return either(*(loosened(part, undecided) for part in condition.parts))
    return condition


def variables(condition: Condition) -> frozenset[Var]:
    """All variables the condition depends on."""
    if isinstance(condition, AtLeastZero):
        return condition.expr.variables
    if isinstance(condition, Not):
        return variables(condition.part)
    if isinstance(condition, All | AnyOf):
        return frozenset().union(*(variables(part) for part in condition.parts))
    return frozenset()
