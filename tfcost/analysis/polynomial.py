"""Formulas as sums of monomials: syntax tree in, {monomial: coefficient} out, and back.

An atom is a symbol's name or, for what does not multiply out (rounding, Min, Max, a quotient by a sum), its tree.
Symbols are positive, so that (n**2)**(1/2) is n and n/n is 1.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import gcd, lcm

from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t
from tfcost.formula.evaluate import exact_root

Exact = int | Fraction
Atom = str | t.Call | t.Power
Monomial = frozenset[tuple[Atom, Exact]]
Polynomial = dict[Monomial, Exact]

UNIT: Monomial = frozenset()
ONE: Mapping[Monomial, Exact] = {UNIT: 1}

_MOST_TERMS = 20_000


def expand(node: t.Node) -> Polynomial:
    """`node` multiplied out, like terms collected. UserError beyond some ten thousand terms."""
    match node:
        case t.Number(value):
            return {UNIT: value} if value else {}
        case t.Symbol(name):
            return {frozenset([(name, 1)]): 1}
        case t.Sum(terms):
            return total(expand(term) for term in terms)
        case t.Product(factors):
            result: Polynomial = dict(ONE)
            for factor in factors:
                result = times(result, expand(factor))
            return result
        case t.Power(base, exponent):
            return raised(expand(base), exponent)
        case t.Call(function, arguments):
            return _atom(t.call(function, [to_tree(expand(argument)) for argument in arguments]))


def total(polynomials: Iterable[Mapping[Monomial, Exact]]) -> Polynomial:
    """The sum of `polynomials`."""
    result: Polynomial = {}
    for polynomial in polynomials:
        for monomial, coefficient in polynomial.items():
            result[monomial] = result.get(monomial, 0) + coefficient
    return {monomial: t.exact(coefficient) for monomial, coefficient in result.items() if coefficient}


def scaled(polynomial: Mapping[Monomial, Exact], factor: Exact) -> Polynomial:
    """`factor` times `polynomial`."""
    return {monomial: t.exact(coefficient * factor) for monomial, coefficient in polynomial.items() if factor}


def difference(one: Mapping[Monomial, Exact], two: Mapping[Monomial, Exact]) -> Polynomial:
    """`one` minus `two`."""
    return total([one, scaled(two, -1)])


def times(one: Mapping[Monomial, Exact], two: Mapping[Monomial, Exact]) -> Polynomial:
    """The product, multiplied out."""
    if len(one) * len(two) > _MOST_TERMS:
        raise UserError(f"a formula of more than {_MOST_TERMS} terms when multiplied out")
    result: Polynomial = {}
    for left, left_coefficient in one.items():
        for right, right_coefficient in two.items():
            monomial = joined(left, right)
            result[monomial] = result.get(monomial, 0) + left_coefficient * right_coefficient
    return {monomial: t.exact(coefficient) for monomial, coefficient in result.items() if coefficient}


def joined(one: Monomial, two: Monomial, sign: int = 1) -> Monomial:
    """The product of two monomials, or with `sign` -1 their quotient."""
    if not two:
        return one
    exponents = dict(one)
    for atom, exponent in two:
        exponents[atom] = t.exact(exponents.get(atom, 0) + sign * exponent)
    return frozenset((atom, exponent) for atom, exponent in exponents.items() if exponent)


def raised(base: Polynomial, exponent: Exact) -> Polynomial:
    """`base ** exponent`: multiplied out where that ends, else a single atom."""
    if len(base) == 1 and (root := _raised_term(base, exponent)) is not None:
        return root
    if isinstance(exponent, int) and exponent > 0:
        result = base
        for _ in range(exponent - 1):
            result = times(result, base)
        return result
    return _atom(t.power(to_tree(base), exponent))


def _raised_term(base: Polynomial, exponent: Exact) -> Polynomial | None:
    """The power of a single term, or None if its coefficient has no exact root."""
    ((monomial, coefficient),) = base.items()
    try:
        scale = t.whole_power(exact_root(coefficient, exponent.denominator), exponent.numerator)
    except ArithmeticError:
        return None
    return {frozenset((atom, t.exact(power * exponent)) for atom, power in monomial): scale}


def _atom(node: t.Node) -> Polynomial:
    if isinstance(node, t.Call | t.Power):
        return {frozenset([(node, 1)]): 1}
    return expand(node)


def to_tree(polynomial: Mapping[Monomial, Exact]) -> t.Node:
    """The tree of a polynomial."""
    return t.add([t.multiply([t.Number(c), monomial_tree(monomial)]) for monomial, c in polynomial.items()])


def monomial_tree(monomial: Monomial) -> t.Node:
    """The tree of a product of powers of atoms."""
    return t.multiply(
        [t.power(t.Symbol(atom) if isinstance(atom, str) else atom, exponent) for atom, exponent in monomial]
    )


def to_formula(polynomial: Mapping[Monomial, Exact]) -> Formula:
    """The formula of a polynomial, in canonical order."""
    return Formula.of_tree(to_tree(polynomial))


def names(polynomial: Mapping[Monomial, Exact]) -> set[str]:
    """The symbols that occur, inside other atoms too."""
    return set(t.names(to_tree(polynomial)))


def replaced(polynomial: Mapping[Monomial, Exact], atom: Atom, value: Mapping[Monomial, Exact]) -> Polynomial:
    """`polynomial` with every power of `atom` replaced by that power of `value`; other atoms are not looked into."""
    parts = []
    for monomial, coefficient in polynomial.items():
        exponent = dict(monomial).get(atom, 0)
        rest = frozenset(pair for pair in monomial if pair[0] != atom)
        part: Polynomial = {rest: coefficient}
        parts.append(times(part, raised(dict(value), exponent)) if exponent else part)
    return total(parts)


def quotient(above: Polynomial, below: Polynomial) -> Formula:
    """`above / below` as a formula, common powers and factors cancelled, the largest coefficient below positive."""
    common = _common_powers([*above, *below])
    scale = Fraction(gcd(*(c.numerator for c in below.values())), lcm(*(c.denominator for c in below.values())))
    if max(below.values(), key=lambda c: abs(Fraction(c))) < 0:
        scale = -scale
    reduced = [scaled(times(side, {common: 1}), 1 / scale) for side in (above, below)]
    if len(below) == 1:
        return to_formula(times(reduced[0], raised(reduced[1], -1)))
    return Formula.of_tree(t.multiply([to_tree(reduced[0]), t.power(to_tree(reduced[1]), -1)]))


def _common_powers(monomials: list[Monomial]) -> Monomial:
    """The inverse of the largest monomial that divides all `monomials`."""
    atoms = {atom for monomial in monomials for atom, _ in monomial}
    lowest = {atom: min((dict(monomial).get(atom, 0) for monomial in monomials), key=Fraction) for atom in atoms}
    return frozenset((atom, -power) for atom, power in lowest.items() if power)
