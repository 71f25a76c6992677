"""Substitution: atoms replaced by expressions, everything around them made canonical again."""

from collections.abc import Mapping

from tfcost.derive.integers.division import floor_div
from tfcost.derive.integers.lattice import extreme
from tfcost.derive.integers.poly import ZERO, Atom, Extreme, Floor, Poly, as_poly


def rewrite(poly: Poly, replacements: Mapping[Atom, Poly]) -> Poly:
    """`poly` with each atom of `replacements` replaced, also inside floors, minima and maxima."""
    variables = frozenset().union(*(atom.variables for atom in replacements))
    return _rewrite(poly, replacements, variables, {})


def _rewrite(
    poly: Poly, replacements: Mapping[Atom, Poly], variables: frozenset[Atom], done: dict[Atom, Poly]
) -> Poly:
    if variables.isdisjoint(poly.variables):
        return poly
    total = ZERO
    for monomial, value in poly:
        term = as_poly(value)
        for atom, power in monomial:
            if atom not in done:
                done[atom] = _rewrite_atom(atom, replacements, variables, done)
            term = term * done[atom] ** power
        total = total + term
    return total


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
