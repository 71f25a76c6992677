"""What a regime is made of: text such as `n >> d`, `g + w <= n`, `d = h*d_h` in, constraints and definitions out."""

import re
from dataclasses import dataclass
from fractions import Fraction

from tfcost.analysis.polynomial import Exact, Monomial, expand, monomial_tree, scaled, to_formula
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

_RELATION = re.compile(r">>|<<|>=|<=|=|>|<")


@dataclass(frozen=True, slots=True)
class Constraint:
    """`greater` is at least `factor` times `lesser`, plus `margin` (1: they differ, and sizes are whole numbers);
    `strict`: the quotient grows without bound.
    """

    greater: Monomial
    lesser: Monomial
    factor: Exact
    strict: bool
    margin: int = 0


@dataclass(frozen=True, slots=True)
class SumConstraint:
    """`greater` is at least `lesser`, a sum of products of symbols; `strict`: the quotient grows without bound."""

    greater: Monomial
    lesser: Formula
    strict: bool


@dataclass(frozen=True, slots=True)
class Definition:
    """The symbol `name` is `value`, a product."""

    name: str
    value: Formula


Stated = Constraint | SumConstraint | Definition


def read(text: str) -> list[Stated]:
    """The definition or the constraints that `text` states. UserError if it is neither."""
    signs = _RELATION.findall(text)
    if len(signs) != 1:
        raise UserError(f"a regime is made of constraints such as 'n >> d', 'w <= n', 'd = h*d_h', not '{text}'")
    (sign,) = signs
    left, right = (Formula(side) for side in text.split(sign))
    if sign == "=":
        if not isinstance(left.tree, t.Symbol) or left.tree.name in right.symbols:
            raise UserError(f"the left side of '{text}' must be a symbol that the right side does not use")
        single(right.tree)
        return [Definition(left.tree.name, right)]
    return _constraints(*((right, left) if sign[0] == "<" else (left, right)), sign)


def _constraints(greater: Formula, lesser: Formula, sign: str) -> list[Stated]:
    """One constraint; of a sum, which '<' and '>' cannot compare, one per term and the whole."""
    above, scale = single(greater.tree)
    terms = expand(lesser.tree)
    strict = sign in (">>", "<<")
    if len(terms) < 2 or sign in ("<", ">"):
        below, factor = single(lesser.tree)
        margin = 1 if "=" not in sign and scale == 1 and isinstance(factor, int) else 0
        return [Constraint(above, below, t.exact(Fraction(factor) / scale), strict, margin)]
    parts = [single(monomial_tree(monomial), coefficient) for monomial, coefficient in terms.items()]
    each: list[Stated] = [
        Constraint(above, below, t.exact(Fraction(factor) / scale), strict) for below, factor in parts
    ]
    return [*each, SumConstraint(above, times_factor(lesser, 1 / Fraction(scale)), strict)]


def single(node: t.Node, factor: Exact = 1) -> tuple[Monomial, Exact]:
    """The monomial and coefficient of `factor` times a product of symbols; UserError for anything else."""
    polynomial = scaled(expand(node), factor)
    if len(polynomial) == 1:
        ((monomial, coefficient),) = polynomial.items()
        if coefficient > 0 and all(isinstance(atom, str) for atom, _ in monomial):
            return monomial, coefficient
    raise UserError(f"a regime compares products of symbols, not {Formula.of_tree(node)}")


def times_factor(formula: Formula, factor: Fraction) -> Formula:
    """`factor` times `formula`, multiplied out."""
    return to_formula(scaled(expand(formula.tree), factor))
