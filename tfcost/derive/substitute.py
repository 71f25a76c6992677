"""Puts meanings in place of auxiliary sizes in long formulas.

Sympy would evaluate every Min and Max again, which compares each pair of their arguments and takes minutes on the
formulas of a window. Here they are opaque while the polynomial around them is expanded, and are rebuilt only where
something in them changed.
"""

from collections.abc import Mapping

import sympy as sp

OPAQUE = (sp.Min, sp.Max, sp.floor, sp.ceiling, sp.Mod)
_UNEVALUATED = (sp.Min, sp.Max)


def substituted(expression: sp.Expr, meanings: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """`expression`, expanded, with every key of `meanings` replaced by its value."""
    if not expression.has(*OPAQUE):
        return sp.expand(expression.xreplace(meanings))
    names: dict[sp.Expr, sp.Dummy] = {}
    polynomial = sp.expand(_visit(expression, meanings, names))
    return polynomial.xreplace({name: call for call, name in names.items()})


def _visit(node: sp.Expr, meanings: Mapping[sp.Expr, sp.Expr], names: dict[sp.Expr, sp.Dummy]) -> sp.Expr:
    """`node` with its meanings in and each call of Min, Max, ... under a name."""
    if node in meanings:
        return meanings[node]
    if isinstance(node, OPAQUE):
        call = _rebuilt(node, meanings)
        return names.setdefault(call, sp.Dummy(integer=True)) if isinstance(call, OPAQUE) else call
    if not node.args:
        return node
    return node.func(*(_visit(part, meanings, names) for part in node.args))


def _rebuilt(call: sp.Expr, meanings: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    parts = [substituted(part, meanings) for part in call.args]
    if all(new == old for new, old in zip(parts, call.args, strict=True)):
        return call
    if not isinstance(call, _UNEVALUATED):
        return call.func(*parts)
    distinct = list(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else call.func(*distinct, evaluate=False)
