"""What a value of the kernel can be symbolically: an integer, a condition, a pointer, a descriptor, or unknown."""

from collections.abc import Mapping
from dataclasses import dataclass

from tfcost.derive.integers.lattice import maximum, minimum
from tfcost.derive.integers.poly import Atom, Poly
from tfcost.derive.integers.rewrite import rewrite
from tfcost.derive.ttir.conditions import (
    All,
    AnyOf,
    AtLeastZero,
    Condition,
    Not,
    Undecided,
    both,
    either,
    moved,
    negation,
    reasons,
)
from tfcost.derive.ttir.counting import indicator


@dataclass(frozen=True, slots=True)
class PointerTo:
    """An address inside the memory that a kernel argument points to; how far inside is not tracked.

    `contents` is the declared value of every element there (None: not known).
    """

    argument: str
    contents: Poly | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A tensor descriptor: the pointer argument and the tensor's extents, outermost first."""

    argument: str
    extents: tuple["Symbolic", ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is not known when the cost is derived (floats, loaded data); `at_most` bounds an integer one."""

    reason: str
    at_most: Poly | None = None


Symbolic = Poly | Condition | PointerTo | Box | Unknown


def is_condition(value: Symbolic) -> bool:
    """Whether the value is a truth value."""
    return isinstance(value, AtLeastZero | All | AnyOf | Not | Undecided)


def as_condition(value: Symbolic) -> Condition:
    """A truth value as a condition."""
    if isinstance(value, AtLeastZero | All | AnyOf | Not | Undecided):
        return value
    return Undecided(value.reason if isinstance(value, Unknown) else "a value that is not a condition")


def as_number(value: Symbolic) -> Symbolic:
    """A condition as 0 or 1; anything else unchanged."""
    if not isinstance(value, AtLeastZero | All | AnyOf | Not | Undecided):
        return value
    undecided = next(reasons(value), None)
    return indicator(value) if undecided is None else Unknown(undecided)


def upper_bound(value: Symbolic) -> Poly | None:
    """The value itself, or what it is at most."""
    if isinstance(value, Poly):
        return value
    return value.at_most if isinstance(value, Unknown) else None


def move(value: Symbolic, moves: Mapping[Atom, Poly]) -> Symbolic:
    """The value of a tensor after its lanes moved (see `lanes`)."""
    if isinstance(value, Poly):
        return rewrite(value, moves) if moves else value
    if isinstance(value, Unknown):
        return Unknown(value.reason, rewrite(value.at_most, moves)) if moves and value.at_most is not None else value
    if isinstance(value, PointerTo | Box) or not moves:
        return value
    return moved(as_condition(value), moves)


def select(condition: Condition, yes: Symbolic, no: Symbolic) -> Symbolic:
    """`yes` where the condition holds, else `no`."""
    if condition == All(()) or yes == no:
        return yes
    if condition == AnyOf(()):
        return no
    if is_condition(yes) or is_condition(no):
        first, second = as_condition(yes), as_condition(no)
        return either(both(condition, first), both(negation(condition), second))
    if isinstance(yes, Poly) and isinstance(no, Poly):
        return _select_integer(condition, yes, no)
    high, other = upper_bound(yes), upper_bound(no)
    reason = next((v.reason for v in (yes, no) if isinstance(v, Unknown)), "one of two pointers")
    return Unknown(reason, maximum(high, other) if high is not None and other is not None else None)


def _select_integer(condition: Condition, yes: Poly, no: Poly) -> Symbolic:
    if isinstance(condition, AtLeastZero):
        # Choosing between two numbers by comparing them is a minimum or a maximum.
        if condition.expr in (yes - no, yes - no - 1):
            return maximum(yes, no)
        if condition.expr in (no - yes, no - yes - 1):
            return minimum(yes, no)
    undecided = next(reasons(condition), None)
    if undecided is not None:
        return Unknown(undecided, maximum(yes, no))
    return no + indicator(condition) * (yes - no)
