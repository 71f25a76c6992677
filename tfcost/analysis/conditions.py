"""The conditions on sizes in what a cost assumes: assumptions and sizes in; whether they hold, and what if not, out.

An assumption is a statement for readers. One that begins with conditions, separated by commas, can also be checked:
`s <= n`, `c divides n`, `k is odd`, `h_kv divides h, h_kv < h`. A reason may follow after a colon or semicolon; after
", else", what is the case where they do not hold.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tfcost.errors import UserError
from tfcost.formula import Formula

_REASON = re.compile(r"[:;] |, (?=else |by )")
_RELATION = re.compile(r" (divides|is odd|<=|>=|!=|<|>|=)(?: |$)")
_HOLDS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq,
    "divides": lambda divisor, size: size % divisor == 0,
    "is odd": lambda size, two: size % two == 1,
}  # fmt: skip
_MULTIPLES = frozenset({"divides", "is odd"})
Sizes = Mapping[str, int | Fraction]


@dataclass(frozen=True, slots=True)
class Condition:
    """`left` `relation` `right`; `otherwise` is what its assumption says to be the case where it does not hold."""

    left: Formula
    relation: str
    right: Formula
    otherwise: str = ""

    @property
    def text(self) -> str:
        """The condition as it was written."""
        ending = "" if self.relation == "is odd" else f" {self.right}"
        return f"{self.left} {self.relation}{ending}"

    def holds(self, values: Sizes) -> bool:
        """Whether it holds at `values`; where one of its symbols has no value, it does."""
        if not self.left.symbols | self.right.symbols <= values.keys():
            return True
        sides = (Fraction(side.evaluate(values)) for side in (self.left, self.right))
        return _HOLDS[self.relation](*sides)

    def broken(self, values: Sizes) -> str:
        """That it does not hold at `values`, in words with the values."""
        if self.relation == "divides":
            return f"{_valued(self.right, values)} is not a multiple of {_valued(self.left, values)}"
        if self.relation == "is odd":
            return f"{_valued(self.left, values)} is not odd"
        names = sorted(self.left.symbols | self.right.symbols)
        return f"{self.text} does not hold at {', '.join(f'{name} = {values[name]}' for name in names)}"


def _valued(side: Formula, values: Sizes) -> str:
    return f"{side} = {side.evaluate(values)}" if side.symbols else side.text


def conditions(assumptions: Iterable[str]) -> list[Condition]:
    """The conditions that `assumptions` begin with; none of an assumption that is no more than a statement."""
    return [condition for assumption in assumptions for condition in _read(assumption)]


def _read(assumption: str) -> list[Condition]:
    head, *rest = _REASON.split(assumption, maxsplit=1)
    otherwise = rest[0].removeprefix("else ") if rest and rest[0].startswith("else ") else ""
    found = []
    for part in head.split(","):
        match _RELATION.split(part.strip()):
            case [left, relation, right]:
                try:
                    found.append(Condition(Formula(left), relation, Formula(right or "2"), otherwise))
                except UserError:
                    return []
            case _:
                return []
    return found


class DoesNotApplyError(UserError):
    """Formulas were asked for at sizes at which they mean nothing."""


def require(assumptions: Iterable[str], values: Sizes, name: str) -> None:
    """DoesNotApplyError if the formulas of `name` mean nothing at `values`: a condition between sizes does not hold.

    Between multiples formulas are still close to the truth, and a condition may say what else is the case: such broken
    conditions are for `inexact`.
    """
    for condition in conditions(assumptions):
        if _decisive(condition) and not condition.holds(values):
            raise DoesNotApplyError(f"{name}: its formulas do not apply: {condition.broken(values)}")


def broken(assumptions: Iterable[str], values: Sizes) -> list[str]:
    """Every condition that does not hold at `values`, told with them."""
    return [condition.broken(values) for condition in conditions(assumptions) if not condition.holds(values)]


def inexact(assumptions: Iterable[str], values: Sizes) -> list[str]:
    """Why formulas are not exact at `values`: the broken conditions that `require` lets pass, and what follows."""
    return [
        f"{condition.broken(values)}: {condition.otherwise or _between(condition)}"
        for condition in conditions(assumptions)
        if not _decisive(condition) and not condition.holds(values)
    ]


def _between(condition: Condition) -> str:
    where = "odd numbers" if condition.relation == "is odd" else "multiples"
    return f"its formulas are exact at {where} only"


def _decisive(condition: Condition) -> bool:
    return condition.relation not in _MULTIPLES and not condition.otherwise


def span(assumptions: Iterable[str], values: Sizes, symbols: Iterable[str], longest: int) -> tuple[int, int]:
    """The sizes around the present one, from 1 to `longest`, that `symbols` can take together without breaking a
    condition that `require` asks for: they are found by bisection, so they are taken to lie next to each other.
    """
    asked = [condition for condition in conditions(assumptions) if _decisive(condition)]
    names = list(symbols)

    def allowed(size: int) -> bool:
        there = {**values, **dict.fromkeys(names, size)}
        return all(condition.holds(there) for condition in asked)

    present = int(values[names[0]])
    return _last(allowed, present, 1), _last(allowed, present, max(longest, present))


def _last(allowed: Callable[[int], bool], inside: int, outside: int) -> int:
    """The size farthest from `inside`, which is allowed, towards `outside` that still is."""
    if allowed(outside):
        return outside
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if allowed(middle) else (inside, middle)
    return inside
