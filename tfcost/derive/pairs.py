"""How many (query, key) pairs a mask predicate allows, exactly, from the predicate itself.

The predicate is called with symbols instead of index tensors. It must come down to affine bounds on j (a conjunction
of <= and >= between j and functions of i, n, m); anything else is an error.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp

from tfcost.derive.errors import DerivationError
from tfcost.derive.sums import sum_over


def count_pairs(predicate: Callable[[Any, Any, Any, Any], Any], n: sp.Expr, m: sp.Expr) -> sp.Expr:
    """The number of pairs 0 <= i < n, 0 <= j < m that the predicate allows, as a formula in n and m."""
    i = sp.Symbol("i", integer=True, nonnegative=True)
    j = sp.Symbol("j", integer=True)
    lowest, highest = [sp.Integer(0)], [m - 1]
    for relation in _conjuncts(predicate(i, j, n, m)):
        _bound(relation, j, lowest, highest)
    width = sp.Min(*highest) - sp.Max(*lowest) + 1
    return sp.expand(sum_over(sp.Max(0, width), i, sp.Integer(0), n))


def _conjuncts(condition: Any) -> list[Any]:
    if condition is True or condition == sp.true:
        return []
    return list(condition.args) if isinstance(condition, sp.And) else [condition]


def _bound(relation: Any, j: sp.Symbol, lowest: list[sp.Expr], highest: list[sp.Expr]) -> None:
    """Adds what `relation` says about j to its lowest or highest values."""
    if not isinstance(relation, sp.Le | sp.Ge | sp.Lt | sp.Gt):
        raise DerivationError(f"a mask predicate must be affine bounds on j, not {relation}")
    difference = sp.expand(relation.lhs - relation.rhs)
    if isinstance(relation, sp.Ge | sp.Gt):
        difference = -difference
    limit = sp.Integer(-1 if isinstance(relation, sp.Lt | sp.Gt) else 0)
    slope = difference.coeff(j, 1)
    rest = sp.expand(difference - slope * j)
    # slope·j + rest <= limit
    if rest.has(j) or slope not in (1, -1):
        raise DerivationError(f"a mask predicate must be affine in j with slope 1, not {relation}")
    if slope == 1:
        highest.append(limit - rest)
    else:
        lowest.append(rest - limit)
