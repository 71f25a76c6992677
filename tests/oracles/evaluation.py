"""Evaluates a sympy expression of integers exactly, node by node: slow, obvious, and free of sympy's own rewriting."""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor, prod

import sympy as sp


def evaluate(expr: sp.Expr, values: Mapping[str, int]) -> Fraction:
    """The value of `expr` with its symbols replaced by name."""
    if isinstance(expr, sp.Rational):
        return Fraction(int(expr.p), int(expr.q))
    if isinstance(expr, sp.Symbol):
        return Fraction(values[expr.name])
    parts = [evaluate(argument, values) for argument in expr.args]
    if isinstance(expr, sp.Add):
        return sum(parts, Fraction(0))
    if isinstance(expr, sp.Mul):
        return prod(parts, start=Fraction(1))
    if isinstance(expr, sp.Pow):
        return parts[0] ** int(parts[1])
    if isinstance(expr, sp.Min | sp.Max):
        return min(parts) if isinstance(expr, sp.Min) else max(parts)
    if isinstance(expr, sp.floor | sp.ceiling):
        return Fraction(floor(parts[0]) if isinstance(expr, sp.floor) else ceil(parts[0]))
    if isinstance(expr, sp.Mod):
        return parts[0] - parts[1] * floor(parts[0] / parts[1])
    raise TypeError(f"unexpected {expr.func} in {expr}")
