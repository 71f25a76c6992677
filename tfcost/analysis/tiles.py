"""Rounding and tiles: which sizes must be multiples of what for rounding to go away, and the formula at such sizes.

n = 128*T turns ceiling(n/128) into T, and T is written n/128 again.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import lcm

from tfcost.analysis import polynomial as poly
from tfcost.analysis.polynomial import Exact, Monomial, Polynomial
from tfcost.formula import tree as t

_PREFERRED = ("n", "m", "w", "g", "c", "k")  # sizes that callers round up to the tile, before any other
_COUNT = "number of tiles in "  # no symbol can have such a name


def mapped(node: t.Node, change: Callable[[t.Call], t.Node]) -> t.Node:
    """`node` with `change` applied to every call, innermost first."""
    match node:
        case t.Sum(terms):
            return t.add([mapped(term, change) for term in terms])
        case t.Product(factors):
            return t.multiply([mapped(factor, change) for factor in factors])
        case t.Power(base, exponent):
            return t.power(mapped(base, change), exponent)
        case t.Call(function, arguments):
            new = t.call(function, [mapped(argument, change) for argument in arguments])
            return change(new) if isinstance(new, t.Call) else new
        case _:
            return node


def require(node: t.Node, divisors: dict[str, Polynomial]) -> bool:
    """Adds to `divisors` what sizes must be multiples of for the rounding in `node` to go; False if that is known."""
    news = [_require(*term, divisors) for term in _needs(node)]
    return any(news)


def aligned(node: t.Node, divisors: Mapping[str, Polynomial]) -> t.Node:
    """`node` at sizes that are multiples of their divisors."""
    tiles = {name: poly.times(divisor, _symbol(_COUNT + name)) for name, divisor in divisors.items()}
    unrounded = mapped(t.replace(node, _trees(tiles)), whole_part_out)
    return t.replace(unrounded, _trees({_COUNT + name: _quotient(name, divisor) for name, divisor in divisors.items()}))


def _trees(polynomials: Mapping[str, Polynomial]) -> dict[str, t.Node]:
    return {name: poly.to_tree(polynomial) for name, polynomial in polynomials.items()}


def _symbol(name: str) -> Polynomial:
    return {frozenset([(name, 1)]): 1}


def _needs(node: t.Node) -> list[tuple[Monomial, Exact]]:
    """The terms inside rounding that are not whole."""
    found: list[tuple[Monomial, Exact]] = []

    def visit(call: t.Call) -> t.Node:
        if call.function in ("ceiling", "floor", "Mod"):
            found.extend(term for term in poly.expand(_rounded(call)).items() if not _is_whole(*term))
        return call

    mapped(node, visit)
    return found


def _rounded(call: t.Call) -> t.Node:
    """What is compared with whole numbers: the argument, or the quotient that Mod takes."""
    if call.function != "Mod":
        return call.arguments[0]
    return t.multiply([call.arguments[0], t.power(call.arguments[1], -1)])


def _require(monomial: Monomial, coefficient: Exact, divisors: dict[str, Polynomial]) -> bool:
    """Adds to `divisors` what makes this term whole; False if that is known already or no size can be its multiple."""
    below = frozenset((atom, -power) for atom, power in monomial if power < 0)
    above = [atom for atom, power in monomial if power > 0 and isinstance(atom, str)]
    if not above:
        return False
    name = next((name for name in _PREFERRED if name in above), min(above))
    old = divisors.get(name, dict(poly.ONE))
    divisors[name] = _common(old, below, coefficient.denominator)
    return divisors[name] != old


def _common(divisor: Polynomial, below: Monomial, number: int) -> Polynomial:
    """The least common multiple of two monomials."""
    ((old, coefficient),) = divisor.items()
    powers = dict(old)
    for atom, power in below:
        powers[atom] = max(power, powers.get(atom, 0), key=Fraction)
    return {frozenset(powers.items()): lcm(int(coefficient), number)}


def _quotient(name: str, divisor: Polynomial) -> Polynomial:
    return poly.times(_symbol(name), poly.raised(divisor, -1))


def whole_part_out(call: t.Call) -> t.Node:
    """The whole terms of a rounding taken out of it."""
    if call.function not in ("ceiling", "floor", "Mod"):
        return call
    terms = poly.expand(_rounded(call))
    if call.function == "Mod":
        return t.ZERO if all(_is_whole(*term) for term in terms.items()) else call
    whole = {monomial: c for monomial, c in terms.items() if _is_whole(monomial, c)}
    rest = poly.difference(terms, whole)
    return t.add([poly.to_tree(whole), t.call(call.function, [poly.to_tree(rest)])])


def _is_whole(monomial: Monomial, coefficient: Exact) -> bool:
    """Whether a term is an integer at all integer sizes."""
    return coefficient.denominator == 1 and all(
        isinstance(power, int) and power > 0 and _whole_atom(atom) for atom, power in monomial
    )


def _whole_atom(atom: poly.Atom) -> bool:
    if isinstance(atom, str):
        return True
    if isinstance(atom, t.Power):
        return False
    arguments: list[Mapping[Monomial, Exact]] = [poly.expand(argument) for argument in atom.arguments]
    whole = all(_is_whole(*term) for argument in arguments for term in argument.items())
    return whole or atom.function in ("ceiling", "floor")
