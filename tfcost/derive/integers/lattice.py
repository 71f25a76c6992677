"""Minima and maxima of integer expressions in canonical form.

Nested minima are flattened, arguments that can be proven never to win are dropped, and what all arguments share is
moved outside: minimum(2*a + c, 2*b + c) is 2*minimum(a, b) + c.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm

from tfcost.derive.integers.poly import Atom, Extreme, Monomial, Poly, as_poly
from tfcost.derive.integers.prove import is_nonnegative


def minimum(*arguments: Poly | int) -> Poly:
    """The smallest of the arguments."""
    return extreme(True, arguments)


def maximum(*arguments: Poly | int) -> Poly:
    """The largest of the arguments."""
    return extreme(False, arguments)


def clamp(value: Poly | int, low: Poly | int, high: Poly | int) -> Poly:
    """`value` moved into [low, high]; low <= high is assumed."""
    return maximum(low, minimum(high, value))


def extreme(is_min: bool, arguments: Iterable[Poly | int]) -> Poly:
    """The smallest (or largest) of the arguments."""
    return _extreme(is_min, tuple(as_poly(argument) for argument in arguments))


def as_lattice(poly: Poly, preferred: bool | None = None) -> tuple[bool, tuple[Poly, ...]] | None:
    """(is_min, arguments) if poly is a number times a minimum or maximum plus a rest, the affine part moved inside.

    With several such atoms the one that makes a minimum (`preferred` True) or maximum (False) is opened first.
    """
    found = None
    for atom in poly.atoms:
        parts = poly.split(atom) if isinstance(atom, Extreme) else None
        if parts is None or not isinstance(atom, Extreme) or not parts[0].is_constant:
            continue
        factor, rest = parts[0].constant, parts[1]
        is_min = atom.is_min == (factor > 0)
        found = (is_min, tuple(factor * part + rest for part in atom.parts))
        if preferred is None or is_min == preferred:
            return found
    return found


@lru_cache(maxsize=100_000)
def _extreme(is_min: bool, arguments: tuple[Poly, ...]) -> Poly:
    # What all arguments share moves out first: opened minima would hide it.
    outside = _shared_terms(arguments)
    flat = set(_flatten(is_min, [argument - outside for argument in arguments]))
    kept = _without_losers(is_min, sorted(flat, key=lambda poly: (poly.size, poly.key)))
    if len(kept) == 1:
        return kept[0] + outside
    shared = _shared_terms(kept)
    rests = [poly - shared for poly in kept]
    scale = _common_content(rests)
    if _points_down(is_min, rests):
        # min(-a, -b) = -max(a, b): one of the two forms, so that equal values are equal objects.
        is_min, scale = not is_min, -scale
    return Poly.of(Extreme(is_min, [rest * (1 / scale) for rest in rests])) * scale + shared + outside


def _points_down(is_min: bool, polys: list[Poly]) -> bool:
    """Whether the leading terms are negative; sizes lead before counters, then names in alphabetical order."""
    monomials = {monomial for poly in polys for monomial in poly.terms}
    for monomial in sorted(monomials, key=lambda m: (not m, max((_depth(a) for a, _ in m), default=0), _text(m))):
        total = sum(poly.terms.get(monomial, 0) for poly in polys)
        if total:
            return total < 0
    return is_min


def _depth(atom: Atom) -> int:
    return max((var.depth for var in atom.variables), default=0)


def _text(monomial: Monomial) -> str:
    return "*".join(f"{atom.key}^{power}" for atom, power in monomial)


def _shared_terms(polys: Sequence[Poly]) -> Poly:
    """The terms that all polynomials have, with the same coefficient."""
    first, *others = polys
    return Poly({m: value for m, value in first if all(other.terms.get(m) == value for other in others)})


def _common_content(polys: list[Poly]) -> Fraction:
    """The largest positive number that divides every coefficient of every polynomial to an integer."""
    contents = [Fraction(poly.content()) for poly in polys if poly.terms]
    return Fraction(gcd(*(c.numerator for c in contents)), lcm(*(c.denominator for c in contents)))


def _flatten(is_min: bool, arguments: Iterable[Poly]) -> Iterable[Poly]:
    for argument in arguments:
        opened = as_lattice(argument, preferred=is_min)
        if opened is not None and opened[0] == is_min:
            yield from _flatten(is_min, opened[1])
        else:
            yield argument


def _without_losers(is_min: bool, arguments: list[Poly]) -> list[Poly]:
    """Drops each argument that another one beats for certain."""
    kept: list[Poly] = []
    for argument in arguments:
        if any(_beats(is_min, winner, argument) for winner in kept):
            continue
        kept = [other for other in kept if not _beats(is_min, argument, other)] + [argument]
    return kept


def _beats(is_min: bool, winner: Poly, loser: Poly) -> bool:
    return is_nonnegative(loser - winner if is_min else winner - loser)
