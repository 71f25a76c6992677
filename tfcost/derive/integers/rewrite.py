"""Substitution: atoms replaced by expressions, everything around them made canonical again."""

from collections.abc import Mapping

from tfcost.derive.integers.division import floor_div
from tfcost.derive.integers.lattice import extreme
from tfcost.derive.integers.poly import Atom, Extreme, Floor, Monomial, Number, Poly


def rewrite(poly: Poly, replacements: Mapping[Atom, Poly]) -> Poly:
    """`poly` with each atom of `replacements` replaced, also inside floors, minima and maxima."""
    variables = frozenset().union(*(atom.variables for atom in replacements))
    return _rewrite(poly, replacements, variables, {})


def _rewrite(poly: Poly, replacements: Mapping[Atom, Poly], variables: frozenset[Atom], done: dict[Atom, Poly]) -> Poly:
    if variables.isdisjoint(poly.variables):
        return poly
    total: dict[Monomial, Number] = {}
    for monomial, value in poly:
        fixed = tuple(item for item in monomial if variables.isdisjoint(item[0].variables))
        term = Poly({fixed: value})
        for atom, power in monomial if len(fixed) < len(monomial) else ():
            if variables.isdisjoint(atom.variables):
                continue
            if atom not in done:
                done[atom] = _rewrite_atom(atom, replacements, variables, done)
            term = term * done[atom] ** power
        for product, coefficient in term:
            total[product] = total.get(product, 0) + coefficient
    return Poly(total)


def _rewrite_atom(
    atom: Atom, replacements: Mapping[Atom, Poly], variables: frozenset[Atom], done: dict[Atom, Poly]
) -> Poly:
    if atom in replacements:
        return replacements[atom]
    if isinstance(atom, Floor):
        parts = (_rewrite(part, replacements, variables, done) for part in atom.parts)
        return floor_div(*parts)
    if isinstance(atom, Extreme):
        return extreme(atom.is_min, (_rewrite(part, replacements, variables, done) for part in atom.parts))
    return Poly.of(atom)
