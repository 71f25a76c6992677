"""Whether a cost stays within a class, or below a bound: formulas and regime in, a verdict out.

A class is kept if every maximal monomial of the cost is covered by the declared ones on the whole regime.
"""

from tfcost.analysis import polynomial as poly
from tfcost.analysis.bounds import Bounder, Undecided, positive_part
from tfcost.analysis.polynomial import Monomial
from tfcost.analysis.regime import Regime
from tfcost.analysis.slack import nonnegative
from tfcost.analysis.theta import Theta
from tfcost.formula import Formula
from tfcost.formula import tree as t


def within_class(found: Theta | None, formula: Formula, declared: Formula, regime: Regime) -> bool | None:
    """Whether `formula`, whose class is `found` (None: undecided), is at most a constant times `declared`.

    None if that is open: the class is, and an upper bound of the formula is not within the declared one either.
    """
    limit = _monomials(regime.applied(declared.tree), regime)
    if found is not None:
        return _covered(_monomials(regime.applied(found.formula.tree), regime), limit, regime)
    try:
        upper = Bounder(regime, even=True).bounds(regime.applied(formula.tree)).upper
    except Undecided:
        return None
    return _covered([_without_constants(monomial, regime) for monomial in positive_part(upper)], limit, regime) or None


def never_above(formula: Formula, bound: Formula, regime: Regime) -> bool:
    """Whether `formula` <= `bound` is shown for all sizes of `regime` (False: not shown)."""
    gap = t.add([bound.tree, t.multiply([t.Number(-1), formula.tree])])
    for even in (False, True):
        try:
            lower = Bounder(regime, even).bounds(regime.applied(gap)).lower
        except Undecided:
            continue
        if not lower or nonnegative(lower, regime):
            return True
    return False


def _covered(monomials: list[Monomial], limit: list[Monomial], regime: Regime) -> bool | None:
    """Whether each of `monomials` is; None if one has a rounding or Min in it that no order is known for."""
    atoms = {atom for monomial in (*monomials, *limit) for atom, _ in monomial}
    if any(not isinstance(atom, str) for atom in atoms):
        return None
    order = regime.order([atom for atom in atoms if isinstance(atom, str)])
    return all(order.covered(monomial, limit) for monomial in monomials)


def _monomials(node: t.Node, regime: Regime) -> list[Monomial]:
    return [_without_constants(monomial, regime) for monomial in poly.expand(node)]


def _without_constants(monomial: Monomial, regime: Regime) -> Monomial:
    return frozenset((atom, power) for atom, power in monomial if atom not in regime.constants)
