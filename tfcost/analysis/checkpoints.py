"""How many layers one checkpoint should serve: a stack's memory as a formula of L and s in; the best s out.

Checkpoints and the segment being recomputed take a/s + e*s + c bytes, of which a alone grows with L. A product is
smallest for a given sum where its factors are equal, so 2*sqrt(a*e) + c is the least, at s = sqrt(a/e): the square-root
rule (Chen et al., 2016), here with the constants of the layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, sqrt

from tfcost.analysis import polynomial as poly
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.polynomial import Exact, Monomial, Polynomial
from tfcost.analysis.regime import Regime
from tfcost.analysis.theta import theta
from tfcost.cost import CHECKPOINTED_ACTIVATIONS, CHECKPOINTED_PEAK, Cost
from tfcost.formula import Formula

LAYERS, SPACING = "L", "s"


@dataclass(frozen=True, slots=True)
class Spaced:
    """The stack with a checkpoint every `spacing` layers at given sizes: bytes of activations, and peak memory."""

    spacing: int
    segments: int
    activations: Exact
    peak: Exact


@dataclass(frozen=True, slots=True)
class BestSpacing:
    """`activations` as a formula of s; the square of the best s; the classes in L, all other sizes constant, of that s,
    of the number of segments and of the activations; `choices` are the divisors of L at the given sizes.

    `least` is the best s at these sizes as a real number, which is 1 or more from `above_one_from` layers on. The peak
    counts weights and their gradients as well: these are there when the first segment goes backward, the checkpoints of
    the others no longer.
    """

    activations: Formula
    squared: Formula
    spacing_class: Formula
    segments_class: Formula
    activations_class: Formula
    least: float
    above_one_from: int
    choices: tuple[Spaced, ...]


def best_spacing(cost: Cost, values: Mapping[str, int]) -> BestSpacing | None:
    """The best spacing of a stack that keeps checkpoints; None for any other cost.

    Undecided (a UserError) if its memory is no sum of a part that falls with s, one that grows with s and a rest.
    """
    if CHECKPOINTED_ACTIVATIONS not in cost.composition:
        return None
    activations = cost.composition[CHECKPOINTED_ACTIVATIONS]
    falling, growing = _parts(activations)
    squared = poly.quotient(falling, growing)
    values = {**cost.fixed, **values}
    layers, a, e = frozenset([(LAYERS, 1)]), _class(falling), _class(growing)
    spacing = _root(poly.joined(a, e, -1))
    return BestSpacing(
        activations,
        squared,
        spacing_class=poly.to_formula({spacing: 1}),
        segments_class=poly.to_formula({poly.joined(layers, spacing, -1): 1}),
        activations_class=poly.to_formula({_root(poly.joined(a, e)): 1}),
        least=sqrt(squared.evaluate(values)),
        above_one_from=ceil(1 / Fraction(squared.evaluate({**values, LAYERS: 1}))),
        choices=tuple(_choices(cost, values)),
    )


def _parts(activations: Formula) -> tuple[Polynomial, Polynomial]:
    """The coefficients of 1/s and of s."""
    by_power: dict[Exact, Polynomial] = {}
    for monomial, coefficient in poly.expand(activations.tree).items():
        rest = frozenset(pair for pair in monomial if pair[0] != SPACING)
        by_power.setdefault(dict(monomial).get(SPACING, 0), {})[rest] = coefficient
    constant = by_power.pop(0, {})
    fixed = SPACING not in poly.names(constant) and LAYERS not in poly.names(constant)
    positive = all(coefficient > 0 for part in by_power.values() for coefficient in part.values())
    if set(by_power) != {-1, 1} or not fixed or not positive:
        raise Undecided(
            f"the memory of a stack is no sum of a part that falls with {SPACING}, one that grows and a rest"
        )
    return by_power[-1], by_power[1]


def _class(part: Polynomial) -> Monomial:
    """The class of a part in L."""
    formula = poly.to_formula(part)
    found = theta(formula, Regime.of(constants=formula.symbols - {LAYERS})).formula
    (monomial,) = poly.expand(found.tree)
    return monomial


def _root(monomial: Monomial) -> Monomial:
    (root,) = poly.raised({monomial: 1}, Fraction(1, 2))
    return root


def _choices(cost: Cost, values: Mapping[str, int]) -> list[Spaced]:
    layers = values[LAYERS]
    found = []
    for spacing in (each for each in range(1, layers + 1) if layers % each == 0):
        at = {**values, SPACING: spacing}
        activations, peak = (
            cost.composition[name].evaluate(at) for name in (CHECKPOINTED_ACTIVATIONS, CHECKPOINTED_PEAK)
        )
        found.append(Spaced(spacing, layers // spacing, activations, peak))
    return found
