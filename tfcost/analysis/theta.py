"""The class of a formula: formula and regime in, the sum of its maximal monomials without constants out.

The formula is put between two polynomials; the class is read off the upper one and shown to be reached by the lower
one. Under a regime with `>>` the leading term with its constant is given as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tfcost.analysis import polynomial as poly
from tfcost.analysis.bounds import Bounder, Bounds, Undecided, positive_part
from tfcost.analysis.polynomial import Exact, Monomial, Polynomial
from tfcost.analysis.regime import Order, Regime
from tfcost.analysis.slack import bounded_below, plainly_bounded_below
from tfcost.formula import Formula
from tfcost.formula import tree as t
from tfcost.formula.parse import parse

_LARGE = (1, 2, 2**20)


@dataclass(frozen=True, slots=True)
class Theta:
    """The class of a formula under `regime`; `leading` is its leading term with the constant, if there is a `>>` and
    the formula has one.
    """

    formula: Formula
    regime: str
    leading: Formula | None = None

    @property
    def text(self) -> str:
        """The class in sympy notation and the field's usual order: `n**2*d + n*d**2`."""
        return self.formula.pretty(ascii_only=True)

    def pretty(self) -> str:
        """The class for a terminal: `Θ(n²·d + n·d²)`."""
        return f"Θ({self.formula.pretty()})"

    def latex(self) -> str:
        """The class in LaTeX."""
        return rf"\Theta\left({self.formula.latex()}\right)"


def theta(formula: Formula, regime: Regime) -> Theta:
    """The class of `formula` under `regime`. Undecided (a UserError) if the regime leaves it open."""
    node = regime.applied(formula.tree)
    problem: Undecided | None = None
    for even in (True, False):
        try:
            bounder = Bounder(regime, even)
            bounds = bounder.bounds(node)
            order = regime.order(_atoms(bounds), bounder.extra)
            maximal = _maximal(_classes(positive_part(bounds.upper), regime), order)
            if _reached(bounds.lower, maximal, regime, order):
                text = _formula({regime.collected(monomial): 1 for monomial in maximal})
                return Theta(text, regime.text, leading(node, regime) if regime.strict else None)
        except Undecided as error:
            problem = problem or error
    if problem is not None:
        raise problem
    where = f"under {regime.text}" if regime.text else "without a regime"
    raise Undecided(f"{where} the class is open: negative terms may cancel the largest ones")


def leading(node: t.Node, regime: Regime) -> Formula | None:
    """The terms of `node` that do not vanish against another one as the `>>` of `regime` grow; None if rounding
    blurs them.
    """
    bounder = Bounder(regime, even=False)
    bounds = bounder.bounds(node)
    order = regime.order(_atoms(bounds), bounder.extra)
    lower, upper = (_lasting(side, order) for side in (bounds.lower, bounds.upper))
    if lower != upper:
        return None
    return _formula(poly.total({regime.collected(monomial): c} for monomial, c in upper.items()))


def _lasting(polynomial: Polynomial, order: Order) -> Polynomial:
    return {
        monomial: coefficient
        for monomial, coefficient in polynomial.items()
        if not any(order.vanishes(monomial, other) for other in polynomial)
    }


def _classes(polynomial: Polynomial, regime: Regime) -> list[Monomial]:
    """The monomials without constants, each once, in a fixed order."""
    stripped = {
        frozenset((atom, power) for atom, power in monomial if atom not in regime.constants) for monomial in polynomial
    }
    return sorted(stripped, key=lambda monomial: sorted((str(atom), power) for atom, power in monomial))


def _maximal(monomials: list[Monomial], order: Order) -> list[Monomial]:
    """The monomials that no other, and no sum of the others, dominates."""
    kept = list(monomials)
    for monomial in monomials:
        if any(other != monomial and order.at_most(monomial, other) for other in kept):
            kept.remove(monomial)
    for monomial in list(kept):
        others = [other for other in kept if other != monomial]
        if others and order.covered(monomial, others):
            kept = others
    return kept


def _reached(lower: Polynomial, maximal: list[Monomial], regime: Regime, order: Order) -> bool:
    """Whether `lower` is at least a constant times each of the `maximal` monomials."""
    if all(coefficient > 0 for coefficient in lower.values()):
        classes = _classes(lower, regime)
        return all(any(order.at_most(monomial, other) for other in classes) for monomial in maximal)
    target: Polynomial = dict.fromkeys(maximal, 1)
    if plainly_bounded_below(lower, target, regime, _LARGE[-1]):
        return True
    return any(bounded_below(lower, target, regime, base) for base in _LARGE)


def _atoms(bounds: Bounds) -> set[str]:
    """Symbols, and the Min that became symbols."""
    sides: Iterable[Mapping[Monomial, Exact]] = (bounds.lower, bounds.upper)
    return {atom for side in sides for monomial in side for atom, _ in monomial if isinstance(atom, str)}


def _formula(polynomial: Mapping[Monomial, Exact]) -> Formula:
    """The formula, a Min that became a symbol read as a Min again."""
    formula = poly.to_formula(polynomial)
    open_minima = {name: parse(name) for name in formula.symbols if not name.isidentifier()}
    return Formula.of_tree(t.replace(formula.tree, open_minima))
