"""Exact formulas made readable: exact formula and regime in; the formula without rounding, and what must hold, out.

Rounding goes away where sizes are multiples of the tile: n = 128*T turns ceiling(n/128) into T, and T is written n/128
again. Min and Max go where the regime decides them. At sizes where the stated conditions hold both forms are equal.
"""

from dataclasses import dataclass

from tfcost.analysis import polynomial as poly
from tfcost.analysis.bounds import Bounder, Undecided
from tfcost.analysis.polynomial import Polynomial
from tfcost.analysis.regime import Regime
from tfcost.analysis.slack import nonnegative
from tfcost.analysis.tiles import aligned, mapped, require
from tfcost.formula import Formula
from tfcost.formula import tree as t


@dataclass(frozen=True, slots=True)
class Readable:
    """A readable formula and the conditions under which it equals the exact one ("": always)."""

    formula: Formula
    regime: str


def readable(formula: Formula, regime: Regime | None = None, collect: bool = False) -> Readable:
    """The readable form of `formula` under `regime`; `collect`: h*d_h is written d where the regime says so."""
    regime = regime or Regime.of()
    node = _decided(regime.applied(formula.tree) if collect else formula.tree, regime)
    divisors: dict[str, Polynomial] = {}
    while require(node, divisors):
        node = _decided(aligned(node, divisors), regime)
    terms = poly.expand(node)
    if collect:
        terms = poly.total({regime.collected(monomial): coefficient} for monomial, coefficient in terms.items())
    conditions = [f"{name} a multiple of {_text(divisor)}" for name, divisor in sorted(divisors.items())]
    if regime.text and _candidates(formula.tree) > _candidates(node):
        conditions.insert(0, regime.text)
    return Readable(poly.to_formula(terms), ", ".join(conditions))


def _decided(node: t.Node, regime: Regime) -> t.Node:
    """`node` with every Min and Max replaced by the argument that the regime picks, where it picks one."""
    return mapped(node, lambda call: _picked(call, regime) if call.function in ("Min", "Max") else call)


def _picked(call: t.Call, regime: Regime) -> t.Node:
    bounder = Bounder(regime, even=False)
    try:
        bounds = [bounder.bounds(argument) for argument in call.arguments]
    except Undecided:
        return call
    kept = list(range(len(bounds)))
    for index in range(len(bounds)):
        for other in kept:
            high, low = (other, index) if call.function == "Max" else (index, other)
            gap = poly.difference(bounds[high].lower, bounds[low].upper)
            if other != index and nonnegative(gap, regime):
                kept.remove(index)
                break
    return t.call(call.function, [call.arguments[index] for index in kept])


def _candidates(node: t.Node) -> int:
    """How many arguments the Min and Max in `node` have."""
    own = len(node.arguments) if isinstance(node, t.Call) and node.function in ("Min", "Max") else 0
    return own + sum(map(_candidates, t.children(node)))


def _text(divisor: Polynomial) -> str:
    return poly.to_formula(divisor).text
