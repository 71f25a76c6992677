"""Last touches to a finished sum: minima and maxima of the same two things become one.

Splitting ranges leaves pairs such as min(a, b) + max(a, b), which is a + b.
"""

from fractions import Fraction

from tfcost.derive.integers.lattice import minimum
from tfcost.derive.integers.poly import Atom, Extreme, Poly
from tfcost.derive.integers.rewrite import rewrite


def simplified(poly: Poly) -> Poly:
    """`poly`, with minima and maxima that differ by what they compare only through a factor written as one."""
    families: dict[Poly, list[Extreme]] = {}
    for atom in poly.atoms:
        if isinstance(atom, Extreme) and len(atom.parts) == 2:
            families.setdefault(_direction(atom), []).append(atom)
    for direction, atoms in families.items():
        if len(atoms) > 1:
            replaced: dict[Atom, Poly] = {atom: _by_minimum(atom, direction) for atom in atoms}
            shorter = rewrite(poly, replaced)
            poly = shorter if shorter.size < poly.size else poly
    return poly


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
