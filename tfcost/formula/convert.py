"""Syntax tree to sympy expression and back; sympy is imported when a conversion is asked for.

Symbols are `sympy.Symbol(name, integer=True, positive=True)` on the way out; on the way in only the name counts.
"""

import re
from fractions import Fraction
from typing import Any

from tfcost.errors import nearest
from tfcost.formula import tree
from tfcost.formula.error import FormulaError
from tfcost.formula.tree import Call, Node, Number, Power, Product, Sum, Symbol

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def to_sympy(node: Node) -> Any:
    """The sympy expression that `node` means."""
    import sympy

    match node:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Symbol(name):
            return sympy.Symbol(name, integer=True, positive=True)
        case Sum(terms):
            return sympy.Add(*[to_sympy(term) for term in terms])
        case Product(factors):
            return sympy.Mul(*[to_sympy(factor) for factor in factors])
        case Power(base, exponent):
            return to_sympy(base) ** sympy.Rational(exponent.numerator, exponent.denominator)
        case Call(function, arguments):
            return getattr(sympy, function)(*[to_sympy(argument) for argument in arguments])


def from_sympy(expression: Any, depth: int = 0) -> Node:
    """The tree of a sympy expression. FormulaError, naming it, for anything the grammar has no word for."""
    if depth > tree.MAX_DEPTH:
        raise FormulaError(f"an expression nested more than {tree.MAX_DEPTH} levels deep")
    if isinstance(expression, int | Fraction):
        return Number(tree.exact(expression))
    if expression.is_Rational:
        return Number(tree.exact(Fraction(int(expression.p), int(expression.q))))
    if expression.is_Symbol:
        return _symbol(expression.name)
    kind = expression.func.__name__
    if not (expression.is_Add or expression.is_Mul or expression.is_Pow or kind in tree.FUNCTIONS):
        hint = nearest(kind, tree.FUNCTIONS) if expression.args else "; only whole numbers and fractions are exact"
        raise FormulaError(f"a formula cannot hold {kind}, as in {_shortened(expression)}{hint}")
    arguments = [from_sympy(argument, depth + 1) for argument in expression.args]
    try:
        return _combined(kind, expression, arguments)
    except ArithmeticError as error:
        raise FormulaError(f"{_shortened(expression)}: {error}") from error


def _combined(kind: str, expression: Any, arguments: list[Node]) -> Node:
    if expression.is_Add:
        return tree.add(arguments)
    if expression.is_Mul:
        return tree.multiply(arguments)
    if expression.is_Pow:
        base, exponent = arguments
        if not isinstance(exponent, Number):
            raise FormulaError(f"an exponent must be a constant, not as in {_shortened(expression)}")
        return tree.power(base, exponent.value)
    return tree.call(kind, arguments)


def _symbol(name: str) -> Symbol:
    if not _NAME.fullmatch(name) or name in tree.FUNCTIONS:
        raise FormulaError(f"'{name}' cannot be the name of a symbol (letters, digits and _ only)")
    return Symbol(name)


def _shortened(expression: Any) -> str:
    text = str(expression)
    return text if len(text) <= 60 else f"{text[:57]}..."
