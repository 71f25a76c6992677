"""Exact sums over integer ranges: sympy in, sympy out, in closed form.

`sum_over` adds up an expression of + - * ** Min Max floor ceiling Mod over low <= symbol < high. The result holds for
every value of the remaining symbols, empty ranges and ragged last tiles included; where no closed form is found,
`NoClosedForm` is raised. Tiled extents come out plain: the sum of Min(64, n - 64*i) over ceiling(n/64) tiles is n.
"""

import sympy as sp

from tfcost.derive.integers.convert import from_sympy, to_sympy
from tfcost.derive.integers.lattice import maximum
from tfcost.derive.integers.poly import Poly, Var
from tfcost.derive.integers.prove import is_nonnegative
from tfcost.derive.integers.rewrite import rewrite
from tfcost.derive.integers.simplify import simplified
from tfcost.derive.integers.summation import NoClosedForm, sum_range

__all__ = ["NoClosedForm", "canonical", "sum_over", "sum_over_range"]


def sum_over(body: sp.Expr, symbol: sp.Symbol, low: sp.Expr, high: sp.Expr) -> sp.Expr:
    """The sum of `body` over the integers low <= symbol < high; 0 if there are none.

    Raises `NoClosedForm`, or `NotAnInteger` for an expression outside the grammar.
    """
    # What the symbol is declared to be says nothing about the range it runs over here.
    counter = sp.Symbol(symbol.name, integer=True)
    summand = from_sympy(body.xreplace({symbol: counter}))
    return to_sympy(simplified(sum_over_range(summand, from_sympy(counter), from_sympy(low), from_sympy(high))))


def sum_over_range(body: Poly, symbol: Poly, low: Poly, high: Poly) -> Poly:
    """The same for expressions in canonical form; `symbol` is a single variable."""
    (outer,) = symbol.variables
    if not is_nonnegative(high - low):
        high = maximum(low, high)
    depth = 1 + max((var.depth for var in body.variables | low.variables | high.variables), default=0)
    counter = Var(outer.name, low, high - 1, depth)
    return sum_range(rewrite(body, {outer: Poly.of(counter)}), counter, low, high)


def canonical(expr: sp.Expr) -> sp.Expr:
    """`expr` rewritten by what is known of its integer symbols: Min(64*ceiling(n/64), n) becomes n."""
    return to_sympy(simplified(from_sympy(expr)))
