"""Sums, products and maxima of formulas: what putting parts together comes down to."""

from collections.abc import Iterable

from tfcost.analysis import polynomial as poly
from tfcost.formula import Formula
from tfcost.formula import tree as t

ZERO, ONE, LAYERS = Formula("0"), Formula("1"), Formula("L")


def added(formulas: Iterable[Formula]) -> Formula:
    """Their sum."""
    return Formula.of_tree(t.add([formula.tree for formula in formulas]))


def times(*factors: Formula) -> Formula:
    """Their product."""
    return Formula.of_tree(t.multiply([factor.tree for factor in factors]))


def minus(first: Formula, *others: Formula) -> Formula:
    """`first` less all others."""
    return added([first, *(times(Formula("-1"), other) for other in others)])


def over(formula: Formula, divisor: Formula) -> Formula:
    """`formula` by `divisor`."""
    return formula if divisor == ONE else times(formula, Formula.of_tree(t.power(divisor.tree, -1)))


def maximum(formulas: Iterable[Formula]) -> Formula:
    """The largest of them."""
    return Formula.of_tree(t.call("Max", [formula.tree for formula in formulas]))


def collected(formula: Formula) -> Formula:
    """The same formula with like terms put together."""
    return poly.to_formula(poly.expand(formula.tree))
