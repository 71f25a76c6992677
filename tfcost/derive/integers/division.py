"""Integer division in canonical form: floors, ceilings, remainders, and C's division that truncates.

A floor keeps nothing that can be moved outside, shares no factor with its divisor, has no floor directly inside and
no minimum or maximum (floor is monotonic, so it moves inside those).
"""

from fractions import Fraction
from functools import lru_cache
from math import gcd

from tfcost.derive.integers.lattice import as_lattice, extreme, maximum, minimum
from tfcost.derive.integers.poly import ONE, ZERO, Floor, Monomial, Number, Poly, as_poly
from tfcost.derive.integers.prove import is_nonnegative


def floor_div(numerator: Poly | Number, divisor: Poly | int) -> Poly:
    """floor(numerator / divisor) for divisor >= 1 (assumed where it is not a number)."""
    top, bottom = as_poly(numerator), as_poly(divisor)
    if not bottom.is_constant:
        return _by_expression(top, bottom)
    if bottom.constant <= 0:
        raise ZeroDivisionError(f"division by {bottom.constant}")
    ratio = Fraction(bottom.constant) * top.denominator()
    return _by_number(top * (top.denominator() * ratio.denominator), ratio.numerator)


def ceil_div(numerator: Poly | Number, divisor: Poly | int) -> Poly:
    """ceiling(numerator / divisor) for divisor >= 1."""
    top, bottom = as_poly(numerator), as_poly(divisor)
    scale = top.denominator()
    return floor_div(top * scale + bottom * scale - 1, bottom * scale)


def remainder(numerator: Poly | int, divisor: Poly | int) -> Poly:
    """Numerator - divisor * floor(numerator / divisor)."""
    return as_poly(numerator) - floor_div(numerator, divisor) * divisor


def truncated_div(numerator: Poly, divisor: Poly) -> Poly:
    """Division that rounds towards zero, as C and the hardware do it."""
    if is_nonnegative(numerator):
        return floor_div(numerator, divisor)
    return maximum(0, floor_div(numerator, divisor)) + minimum(0, ceil_div(numerator, divisor))


@lru_cache(maxsize=100_000)
def _by_number(top: Poly, divisor: int) -> Poly:
    if divisor == 1:
        return top
    whole, rest = _whole_part(top, divisor)
    if rest.is_constant:
        return whole
    opened = as_lattice(rest)
    if opened is not None:
        return whole + extreme(opened[0], (_by_number(argument, divisor) for argument in opened[1]))
    if _leading_coefficient(rest) < 0:
        return whole - _by_number(-rest + (divisor - 1), divisor)
    factor = gcd(divisor, *(int(value) for monomial, value in rest if monomial))
    if factor > 1:
        constant = int(rest.constant)
        reduced = (rest - constant) * Fraction(1, factor) + constant // factor
        return whole + _by_number(reduced, divisor // factor)
    merged = _merge_inner_floor(rest)
    if merged is not None:
        return whole + floor_div(merged[0], merged[1] * divisor)
    return whole + _drop_small_part(rest, divisor)


def _whole_part(top: Poly, divisor: int) -> tuple[Poly, Poly]:
    """(whole, rest) with top = divisor * whole + rest, coefficients of the rest smaller than the divisor."""
    whole: dict[Monomial, Number] = {}
    rest: dict[Monomial, Number] = {}
    for monomial, value in top:
        # Towards zero, so that -n/64 stays -n/64 and does not become -n + 63*n/64; the constant becomes 0 <= c < q.
        quotient = int(Fraction(value) / divisor) if monomial else int(value) // divisor
        whole[monomial], rest[monomial] = quotient, value - quotient * divisor
    return Poly(whole), Poly(rest)


def _leading_coefficient(poly: Poly) -> Number:
    monomial = min((m for m in poly.terms if m), key=lambda m: tuple((atom.key, power) for atom, power in m))
    return poly.terms[monomial]


def _merge_inner_floor(top: Poly) -> tuple[Poly, Poly] | None:
    """floor((floor(N/a) + s)/q) = floor((N + a*s)/(a*q)); the new numerator and a, if an inner floor stands alone."""
    for atom in top.atoms:
        parts = top.split(atom) if isinstance(atom, Floor) else None
        if parts is None or not isinstance(atom, Floor) or parts[0] not in (ONE, -ONE):
            continue
        inner, others = atom.divisor, parts[1] * atom.divisor
        if parts[0] == ONE:
            return atom.numerator + others, inner
        return inner - 1 - atom.numerator + others, inner
    return None


def _drop_small_part(rest: Poly, divisor: int) -> Poly:
    """floor(rest / divisor), bounded variables such as lane numbers left out where they cannot matter."""
    if any(var.upper is not None for var in rest.variables):
        if is_nonnegative(rest) and is_nonnegative(divisor - 1 - rest):
            return ZERO
        for factor in sorted({abs(int(value)) for monomial, value in rest if monomial}, reverse=True):
            large = _without_small_part(rest, factor) if divisor % factor == 0 else rest
            if large != rest:
                return _by_number(large, divisor)
    return Poly.of(Floor(rest, as_poly(divisor)))


def _without_small_part(poly: Poly, factor: int) -> Poly:
    """factor*x for factor*x + s with 0 <= s < factor: both have the same floor over a multiple of the factor."""
    if factor > 1:
        large = Poly({m: value for m, value in poly if m and value % factor == 0})
        small = poly - large
        if large.terms and is_nonnegative(small) and is_nonnegative(factor - 1 - small):
            return large
    return poly


@lru_cache(maxsize=100_000)
def _by_expression(top: Poly, divisor: Poly) -> Poly:
    quotient = exact_quotient(top, divisor)
    if quotient is not None:
        return quotient
    whole, rest = _whole_terms(top, divisor)
    opened = as_lattice(rest)
    if opened is not None:
        return whole + extreme(opened[0], (_by_expression(argument, divisor) for argument in opened[1]))
    if not rest.terms or (is_nonnegative(rest) and is_nonnegative(divisor - 1 - rest)):
        return whole
    if not rest.is_constant and _leading_coefficient(rest) < 0:
        return whole - 1 - _by_expression(-rest - 1, divisor)
    merged = _merge_inner_floor(rest)
    if merged is not None:
        return whole + floor_div(merged[0], merged[1] * divisor)
    rest, divisor = _cancel_common_factor(_without_small_part(rest, int(divisor.content())), divisor)
    if divisor.is_constant:
        return whole + floor_div(rest, divisor)
    return whole + Poly.of(Floor(rest, divisor))


def exact_quotient(top: Poly, divisor: Poly) -> Poly | None:
    """K if top = k * divisor for one monomial k with an integer coefficient, else None."""
    if not top.terms:
        return ZERO
    lead, value = next(iter(divisor))
    for monomial, coefficient in top:
        shared = _divide_monomial(monomial, lead)
        if shared is not None and Fraction(coefficient) / value == int(Fraction(coefficient) / value):
            factor = Poly({shared: Fraction(coefficient) / value})
            if factor * divisor == top:
                return factor
    return None


def _whole_terms(top: Poly, divisor: Poly) -> tuple[Poly, Poly]:
    """Moves the terms of `top` that a one-term divisor divides into the first result."""
    whole = ZERO
    if len(divisor.terms) == 1:
        for monomial, value in top:
            quotient = exact_quotient(Poly({monomial: value}), divisor)
            whole = whole + (quotient if quotient is not None else ZERO)
    return whole, top - whole * divisor


def _cancel_common_factor(top: Poly, divisor: Poly) -> tuple[Poly, Poly]:
    monomials = [*top.terms, *divisor.terms]
    shared = dict(monomials[0])
    for monomial in monomials[1:]:
        powers = dict(monomial)
        shared = {atom: min(power, powers[atom]) for atom, power in shared.items() if atom in powers}
    number = gcd(*(int(value) for value in (*top.terms.values(), *divisor.terms.values())))
    factor = Poly({tuple(sorted(shared.items(), key=lambda item: item[0].key)): number})
    if factor == ONE or not is_nonnegative(factor):
        return top, divisor
    return _divide_terms(top, factor), _divide_terms(divisor, factor)


def _divide_terms(poly: Poly, factor: Poly) -> Poly:
    quotients = [exact_quotient(Poly({monomial: value}), factor) for monomial, value in poly]
    return sum((quotient for quotient in quotients if quotient is not None), ZERO)


def _divide_monomial(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    powers = dict(monomial)
    for atom, power in divisor:
        if powers.get(atom, 0) < power:
            return None
        powers[atom] -= power
    return tuple((atom, power) for atom, power in powers.items() if power)
