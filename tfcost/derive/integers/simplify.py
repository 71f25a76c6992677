"""Last touches to a finished sum: minima and maxima of the same things become one.

Splitting ranges leaves pairs such as min(a, b) + max(a, b), which is a + b.
"""

from collections.abc import Iterator
from fractions import Fraction

from tfcost.derive.integers.lattice import extreme, minimum
from tfcost.derive.integers.poly import Atom, Extreme, Poly
from tfcost.derive.integers.rewrite import rewrite


def simplified(poly: Poly) -> Poly:
    """`poly` with one of two atoms written in terms of the other wherever that makes it shorter."""
    shorter = True
    while shorter:
        shorter = False
        for replacements in (*_opposites(poly), *_families(poly)):
            candidate = rewrite(poly, replacements)
            if candidate.size < poly.size:
                poly, shorter = candidate, True
                break
    return poly


def _pairs(poly: Poly) -> list[Extreme]:
    return [atom for atom in poly.atoms if isinstance(atom, Extreme) and len(atom.parts) == 2]


def _opposites(poly: Poly) -> Iterator[dict[Atom, Poly]]:
    """min(a, b) = a + b - max(a, b), also where the maximum has dropped or merged what a and b are made of."""
    for atom in _pairs(poly):
        opposite = extreme(not atom.is_min, atom.parts)
        for other in opposite.atoms:
            parts = opposite.split(other)
            if isinstance(other, Extreme) and other in poly.atoms and parts is not None and parts[0].is_constant:
                yield {other: (sum(atom.parts, -Poly.of(atom)) - parts[1]) * (1 / Fraction(parts[0].constant))}


def _families(poly: Poly) -> Iterator[dict[Atom, Poly]]:
    """Atoms that compare the same two things up to a factor and a shift, all by the same minimum."""
    families: dict[Poly, list[Extreme]] = {}
    for atom in _pairs(poly):
        families.setdefault(_direction(atom), []).append(atom)
    for direction, atoms in families.items():
        if len(atoms) > 1:
            yield {atom: _by_minimum(atom, direction) for atom in atoms}


def _direction(atom: Extreme) -> Poly:
    """What the two parts differ by, without its numerical factor and sign."""
    difference = atom.parts[0] - atom.parts[1]
    primitive = difference * (1 / Fraction(difference.content()))
    return max(primitive, -primitive, key=lambda poly: poly.key)


def _by_minimum(atom: Extreme, direction: Poly) -> Poly:
    """The atom in terms of minimum(0, direction)."""
    first, second = atom.parts
    factor = (first - second).content()
    if direction * factor != first - second:
        factor = -factor
    # first = second + factor * direction
    smallest = minimum(0, direction)
    if atom.is_min == (factor > 0):
        return second + factor * smallest
    return second + factor * (direction - smallest)
