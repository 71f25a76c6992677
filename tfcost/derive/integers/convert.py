"""Between sympy and `Poly`: sizes are sympy integer symbols; floor, ceiling, Min, Max and Mod keep their meaning.

`to_sympy` writes floors as ceilings where those read better: floor((n + 127)/128) comes out as ceiling(n/128).
"""

from fractions import Fraction
from functools import lru_cache

import sympy as sp

from tfcost.derive.integers.division import ceil_div, floor_div, remainder
from tfcost.derive.integers.lattice import extreme
from tfcost.derive.integers.poly import ONE, ZERO, Atom, Extreme, Floor, Poly, Var, as_poly, common_factor


class NotAnInteger(ValueError):
    """An expression that is not built from integer symbols by + - * // % Min Max floor ceiling."""


@lru_cache(maxsize=10_000)
def from_sympy(expr: sp.Expr) -> Poly:
    """The expression in canonical form. Raises `NotAnInteger`."""
    top, bottom = _fraction(sp.sympify(expr))
    if not bottom.is_constant:
        raise NotAnInteger(f"'{expr}' divides by '{to_sympy(bottom)}' outside of floor and ceiling")
    return top * (1 / Fraction(bottom.constant))


def variable(symbol: sp.Symbol) -> Var:
    """The variable that stands for an integer symbol: at least 1 if positive, at least 0 if nonnegative."""
    if not symbol.is_integer:
        raise NotAnInteger(f"the symbol '{symbol}' is not declared an integer")
    lower = 1 if symbol.is_positive else 0 if symbol.is_nonnegative else None
    return Var(symbol.name, lower)


def _fraction(expr: sp.Expr) -> tuple[Poly, Poly]:
    """(numerator, denominator) of an expression with divisions."""
    if isinstance(expr, sp.Rational):
        return as_poly(int(expr.p)), as_poly(int(expr.q))
    if isinstance(expr, sp.Symbol):
        return Poly.of(variable(expr)), ONE
    if isinstance(expr, sp.Add):
        top, bottom = ZERO, ONE
        for argument in expr.args:
            t, b = _fraction(argument)
            top, bottom = (top + t, bottom) if b == bottom else (top * b + t * bottom, bottom * b)
        return top, bottom
    if isinstance(expr, sp.Mul):
        top, bottom = ONE, ONE
        for argument in expr.args:
            t, b = _fraction(argument)
            top, bottom = top * t, bottom * b
        return top, bottom
    if isinstance(expr, sp.Pow) and isinstance(expr.exp, sp.Integer):
        top, bottom = _fraction(expr.base)
        power = int(expr.exp)
        return (top**power, bottom**power) if power >= 0 else (bottom**-power, top**-power)
    return _function(expr), ONE


def _function(expr: sp.Expr) -> Poly:
    if isinstance(expr, sp.floor | sp.ceiling):
        top, bottom = _fraction(expr.args[0])
        return floor_div(top, bottom) if isinstance(expr, sp.floor) else ceil_div(top, bottom)
    if isinstance(expr, sp.Min | sp.Max):
        return extreme(isinstance(expr, sp.Min), (from_sympy(argument) for argument in expr.args))
    if isinstance(expr, sp.Mod):
        return remainder(from_sympy(expr.args[0]), from_sympy(expr.args[1]))
    raise NotAnInteger(f"'{expr}' is not an integer expression of sizes")


def to_sympy(poly: Poly) -> sp.Expr:
    """The polynomial as sympy, common factors of all terms in front."""
    if len(poly.terms) < 2:
        return _sum(poly)
    shared, rest = common_factor(poly)
    return sp.Mul(_sum(shared), _sum(rest))


def _sum(poly: Poly) -> sp.Expr:
    terms = []
    for monomial, value in poly:
        factors = [_atom(atom) ** power for atom, power in monomial]
        terms.append(sp.Mul(sp.Rational(value.numerator, value.denominator), *factors))
    return sp.Add(*terms)


@lru_cache(maxsize=20_000)
def _atom(atom: Atom) -> sp.Expr:
    if isinstance(atom, Var):
        lower = atom.lower.constant if atom.lower is not None and atom.lower.is_constant else None
        if lower == 1:
            return sp.Symbol(atom.name, integer=True, positive=True)
        return sp.Symbol(atom.name, integer=True, nonnegative=True if lower == 0 else None)
    if isinstance(atom, Floor):
        return _rounded(atom)
    assert isinstance(atom, Extreme)
    kind = sp.Min if atom.is_min else sp.Max
    return kind(*(_sum(part) for part in atom.parts), evaluate=False)


def _rounded(atom: Floor) -> sp.Expr:
    """Floor or ceiling, whichever leaves the smaller constant: floor((n + 127)/128) is ceiling(n/128)."""
    top, divisor = atom.numerator, atom.divisor
    if not divisor.is_constant:
        # floor((n - 1)/w) = ceiling(n/w) - 1
        if top.constant == -1:
            return sp.ceiling(_sum(top + 1) / _sum(divisor)) - 1
        return sp.floor(_sum(top) / _sum(divisor))
    shift = int(divisor.constant) - 1
    if 2 * top.constant > shift:
        return sp.ceiling(_sum(top - shift) / _sum(divisor))
    return sp.floor(_sum(top) / _sum(divisor))
