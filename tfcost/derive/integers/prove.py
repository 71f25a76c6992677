"""Proves inequalities between integer expressions from the bounds of their variables. Sound, not complete.

`is_nonnegative(p)` is True only if p >= 0 for every value the variables may take; False means "not proven".
"""

from fractions import Fraction
from functools import lru_cache

from tfcost.derive.integers.poly import ZERO, Atom, Extreme, Floor, Monomial, Number, Poly, Var


def is_nonnegative(poly: Poly) -> bool:
    """Whether poly >= 0 can be proven."""
    # An integer above -1 is at least 0: that closes the gap which bounding a floor by its fraction leaves.
    return _exceeds(poly, slack=poly.is_integral)


def is_positive(poly: Poly) -> bool:
    """Whether poly >= 1 can be proven."""
    return is_nonnegative(poly - 1)


def sign(poly: Poly) -> int:
    """1 if poly >= 0, -1 if poly <= 0 is proven, 0 if neither is."""
    if is_nonnegative(poly):
        return 1
    return -1 if is_nonnegative(-poly) else 0


@lru_cache(maxsize=200_000)
def _exceeds(poly: Poly, slack: bool) -> bool:
    """Whether poly > -1 (with slack) or poly >= 0 (without)."""
    if poly.is_constant:
        return poly.constant > -1 if slack else poly.constant >= 0
    for step in (_split_extreme, _bound_variable, _relax_floor):
        answer = step(poly, slack)
        if answer is not None:
            return answer or _drop_positive_terms(poly, slack)
    return _shifted_coefficients(poly, slack) or _drop_positive_terms(poly, slack)


def _split_extreme(poly: Poly, slack: bool) -> bool | None:
    """A minimum or maximum is one of its arguments: which of them must satisfy the claim depends on the sign."""
    for atom in poly.atoms:
        parts = poly.split(atom) if isinstance(atom, Extreme) else None
        if parts is not None and isinstance(atom, Extreme):
            cofactor, rest = parts
            direction = sign(cofactor)
            cases = (_exceeds(cofactor * argument + rest, slack) for argument in atom.parts)
            takes_largest = direction != 0 and (direction > 0) != atom.is_min
            return any(cases) if takes_largest else all(cases)
    return None


def _relax_floor(poly: Poly, slack: bool) -> bool | None:
    """floor(N/q) lies between (N - q + 1)/q and N/q."""
    floors = [atom for atom in poly.atoms if isinstance(atom, Floor)]
    for atom in sorted(floors, key=_relaxation_order):
        parts = poly.split(atom)
        if parts is None:
            continue
        cofactor, rest = parts
        direction = sign(cofactor)
        if direction == 0:
            continue
        if not atom.divisor.is_constant:
            bound = atom.numerator if direction < 0 else atom.numerator - atom.divisor + 1
            return _exceeds(cofactor * bound + rest * atom.divisor, slack=False)
        top, divisor = _through_finer_floor(atom, floors)
        bound = top if direction < 0 else top - (divisor - 1)
        return _exceeds(cofactor * bound * Fraction(1, divisor) + rest, slack)
    return None


def _relaxation_order(atom: Floor) -> tuple[bool, int]:
    """Floors of sizes alone last: bounds of variables may bring the same floor in and cancel it. Coarse ones first."""
    divisor = int(atom.divisor.constant) if atom.divisor.is_constant else 0
    return all(var.depth == 0 for var in atom.variables), -divisor


def _through_finer_floor(atom: Floor, floors: list[Floor]) -> tuple[Poly, int]:
    """(numerator, divisor) of a floor, in terms of a finer floor beside it: floor(x/96) is floor(floor(x/32)/3)."""
    divisor = int(atom.divisor.constant)
    for other in floors:
        finer = int(other.divisor.constant) if other.divisor.is_constant else divisor
        shift = atom.numerator - other.numerator
        if finer < divisor and divisor % finer == 0 and shift.is_constant and shift.constant % finer == 0:
            return Poly.of(other) + int(shift.constant) // finer, divisor // finer
    return atom.numerator, divisor


def _bound_variable(poly: Poly, slack: bool) -> bool | None:
    """Puts the innermost bounded variable at the end of its range where the expression is smallest.

    A variable inside of a floor has to wait until the floor is gone.
    """
    nested = frozenset().union(*(atom.variables for atom in poly.atoms if not isinstance(atom, Var)))
    bounded = [atom for atom in poly.atoms if isinstance(atom, Var) and atom.depth > 0 and atom not in nested]
    for var in sorted(bounded, key=lambda atom: -atom.depth):
        parts = poly.split(var)
        if parts is None:
            continue
        cofactor, rest = parts
        direction = sign(cofactor)
        end = var.lower if direction > 0 else var.upper
        if direction != 0 and end is not None:
            return _exceeds(cofactor * end + rest, slack)
    return None


def _shifted_coefficients(poly: Poly, slack: bool) -> bool:
    """With every variable written as its lower bound plus something >= 0, no coefficient is negative."""
    shifted = ZERO
    for monomial, value in poly:
        term = Poly({(): value})
        for atom, power in monomial:
            offset = _constant_lower(atom)
            term = term * (Poly.of(atom) + offset) ** power
        shifted = shifted + term
    threshold = -1 if slack else 0
    return all(
        (value >= 0 and _is_nonnegative_monomial(monomial, shifted=True)) if monomial else True
        for monomial, value in shifted
    ) and (shifted.constant > threshold or shifted.constant == 0)


def _constant_lower(atom: Atom) -> Number:
    """The distance a variable is shifted by: its lower bound where that is a number, else 0."""
    if isinstance(atom, Var) and atom.lower is not None and atom.lower.is_constant:
        return atom.lower.constant
    return 0


def _drop_positive_terms(poly: Poly, slack: bool) -> bool:
    """What is left without some terms that cannot be negative is a lower bound."""
    kept: dict[Monomial, Number] = {}
    for monomial, value in poly:
        hard = any(not isinstance(atom, Var) or power > 1 or atom.depth for atom, power in monomial)
        if not (monomial and value > 0 and hard and _is_nonnegative_monomial(monomial, shifted=False)):
            kept[monomial] = value
    return len(kept) < len(poly.terms) and _exceeds(Poly(kept), slack)


def _is_nonnegative_monomial(monomial: Monomial, shifted: bool) -> bool:
    return all(power % 2 == 0 or _is_nonnegative_atom(atom, shifted) for atom, power in monomial)


@lru_cache(maxsize=100_000)
def _is_nonnegative_atom(atom: Atom, shifted: bool) -> bool:
    if isinstance(atom, Var):
        # A shifted variable is the distance to its lower bound.
        return atom.lower is not None and ((shifted and atom.lower.is_constant) or is_nonnegative(atom.lower))
    if isinstance(atom, Floor):
        return is_nonnegative(atom.numerator)
    assert isinstance(atom, Extreme)
    cases = (is_nonnegative(part) for part in atom.parts)
    return all(cases) if atom.is_min else any(cases)
