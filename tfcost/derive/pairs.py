"""How many (query, key) pairs a mask predicate allows, exactly, from the predicate itself.

The predicate is called with symbols instead of index tensors. It must come down to a combination by `&` and `|` of
bounds on i, bounds on j (which may depend on i), and at most one "s divides a difference of i and j"; anything else is
an error. Alternatives are counted by inclusion and exclusion.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import sympy as sp
from sympy.logic.boolalg import to_dnf

from tfcost.derive.errors import DerivationError
from tfcost.derive.sums import sum_over

_I = sp.Symbol("i", integer=True, nonnegative=True)
_J = sp.Symbol("j", integer=True, nonnegative=True)


def count_pairs(predicate: Callable[[Any, Any, Any, Any], Any], n: sp.Expr, m: sp.Expr) -> sp.Expr:
    """The number of pairs 0 <= i < n, 0 <= j < m that the predicate allows, as a formula in n, m and its own sizes."""
    condition = to_dnf(sp.sympify(predicate(_I, _J, n, m)), simplify=False)
    if condition == sp.false:
        return sp.Integer(0)
    alternatives = condition.args if isinstance(condition, sp.Or) else (condition,)
    total = sp.Integer(0)
    for size in range(1, len(alternatives) + 1):
        for together in combinations(alternatives, size):
            total += (-1) ** (size + 1) * _Region.of(together, n, m).pairs()
    return sp.expand(total)


@dataclass(slots=True)
class _Region:
    """The pairs that meet a conjunction: first <= i <= last, lowest <= j <= highest, and perhaps s | j - offset."""

    first: list[sp.Expr]
    last: list[sp.Expr]
    lowest: list[sp.Expr]
    highest: list[sp.Expr]
    spacing: set[tuple[sp.Expr, sp.Expr]] = field(default_factory=set)

    @classmethod
    def of(cls, conditions: Iterable[Any], n: sp.Expr, m: sp.Expr) -> "_Region":
        zero = sp.Integer(0)
        region = cls([zero], [n - 1], [zero], [m - 1])
        for condition in conditions:
            for relation in condition.args if isinstance(condition, sp.And) else (condition,):
                region._add(relation)
        return region

    def pairs(self) -> sp.Expr:
        low, high = sp.Max(*self.lowest), sp.Min(*self.highest)
        if not self.spacing:
            width = high - low + 1
        elif len(self.spacing) == 1:
            ((step, offset),) = self.spacing
            width = sp.floor((high - offset) / step) - sp.floor((low - 1 - offset) / step)
        else:
            raise DerivationError(f"a mask predicate may ask for one divisibility at a time, not {self.spacing}")
        return sum_over(sp.Max(0, width), _I, sp.Max(*self.first), sp.Min(*self.last) + 1)

    def _add(self, relation: Any) -> None:
        if relation == sp.true:
            return
        if isinstance(relation, sp.Eq) and isinstance(relation.lhs, sp.Mod) and relation.rhs == 0:
            self._add_spacing(*relation.lhs.args)
        elif isinstance(relation, sp.Le | sp.Ge | sp.Lt | sp.Gt):
            self._add_bound(relation)
        else:
            raise DerivationError(f"a mask predicate must be bounds on i and j, not {relation}")

    def _add_spacing(self, difference: sp.Expr, step: sp.Expr) -> None:
        slope, rest = _affine(difference, _J)
        self.spacing.add((step, sp.expand(-slope * rest)))

    def _add_bound(self, relation: Any) -> None:
        difference = sp.expand(relation.lhs - relation.rhs)
        if isinstance(relation, sp.Ge | sp.Gt):
            difference = -difference
        limit = sp.Integer(-1 if isinstance(relation, sp.Lt | sp.Gt) else 0)
        variable = _J if difference.has(_J) else _I
        slope, rest = _affine(difference, variable)
        # slope·variable + rest <= limit
        upper, lower = (self.highest, self.lowest) if variable is _J else (self.last, self.first)
        if slope == 1:
            upper.append(limit - rest)
        else:
            lower.append(rest - limit)


def _affine(expression: sp.Expr, variable: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """`expression` as slope·variable + rest, with a slope of 1 or -1."""
    slope = sp.expand(expression).coeff(variable, 1)
    rest = sp.expand(expression - slope * variable)
    if rest.has(variable) or slope not in (1, -1):
        raise DerivationError(f"a mask predicate must be affine in {variable} with slope 1, not {expression}")
    return slope, rest
