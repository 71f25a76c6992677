"""Min and Max decided by how sizes are ordered: a formula and sizes in; the formula without them, and the orders, out.

Min(k/128, n/(128*s)) at sizes with k*s < n is k/128, and so it is wherever k*s <= n.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import gcd, lcm

from tfcost.analysis import polynomial as poly
from tfcost.analysis.polynomial import Polynomial
from tfcost.analysis.tiles import mapped
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t


def decided_by_order(formula: Formula, values: Mapping[str, int]) -> tuple[Formula, tuple[str, ...]]:
    """`formula` with every Min and Max replaced by the argument that it equals at `values`, and orders of sizes, each
    "lesser <= greater", under which that is so. UserError where no single term makes the greater side the greater.
    """
    orders: dict[str, None] = {}

    def decide(call: t.Call) -> t.Node:
        chosen = picked(call, values)
        if call.function in ("Min", "Max"):
            for other in call.arguments:
                low, high = (other, chosen) if call.function == "Max" else (chosen, other)
                orders.update(dict.fromkeys(order_of(low, high, values)))
        return chosen

    decided = Formula.of_tree(mapped(formula.tree, decide))
    return decided, tuple(orders)


def picked(call: t.Call, values: Mapping[str, int]) -> t.Node:
    """For a Min or Max, the argument that it equals at `values`."""
    if call.function not in ("Min", "Max"):
        return call
    pick = max if call.function == "Max" else min
    return pick(call.arguments, key=lambda argument: Formula.of_tree(argument).evaluate(values))


def order_of(low: t.Node, high: t.Node, values: Mapping[str, int]) -> list[str]:
    """The order that makes `low` <= `high`, without denominators and common factors; none if it is so anyway.

    Of what is to be the greater side the term is taken that is largest at `values`: k*s <= n for k*s <= n + s.
    UserError if that does not hold there.
    """
    gap = poly.difference(poly.expand(high), poly.expand(low))
    lesser = poly.scaled({m: c for m, c in gap.items() if c < 0}, -1)
    if not lesser:
        return []
    terms: list[Polynomial] = [{m: c} for m, c in gap.items() if c > 0]
    greater = max(terms, key=lambda term: poly.to_formula(term).evaluate(values), default={})
    if poly.to_formula(greater).evaluate(values) < poly.to_formula(lesser).evaluate(values):
        raise UserError(f"no single term of {Formula.of_tree(high)} is more than {Formula.of_tree(low)}")
    return [" <= ".join(poly.to_formula(side).text for side in _cleared(lesser, greater))]


def _cleared(*sides: Polynomial) -> list[Polynomial]:
    """All sides times what leaves whole coefficients and powers without a common factor."""
    monomials = [dict(monomial) for side in sides for monomial in side]
    numbers = [Fraction(coefficient) for side in sides for coefficient in side.values()]
    scale = Fraction(lcm(*(c.denominator for c in numbers)), gcd(*(c.numerator for c in numbers)))
    atoms = {atom for monomial in monomials for atom in monomial}
    common = {atom: min(monomial.get(atom, 0) for monomial in monomials) for atom in atoms}
    clearing = frozenset((atom, -power) for atom, power in common.items() if power)
    return [poly.times(side, {clearing: scale}) for side in sides]
