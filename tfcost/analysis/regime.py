"""Regimes: constraints such as `n >> d`, `w <= n`, `d = h*d_h` in; an order of monomials out.

In the logarithms of the symbols a regime is a cone: every symbol is at least 1, `a >= b` is a half-space, and `a >> b`
one whose distance from the boundary grows without bound. A monomial dominates another on the whole regime if it does
on the extreme rays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from math import lcm

from tfcost.analysis.cone import Vector, cut, dot, extreme_rays
from tfcost.analysis.constraints import Constraint, Definition, SumConstraint, read, single, times_factor
from tfcost.analysis.polynomial import Monomial, joined, monomial_tree
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

MODEL_DEFINITIONS = ("d = h*d_h", "h_kv <= h")
"""What holds in every transformer; to be passed as `implied`."""

FFN_DEFAULT = "f = 4*d"
"""The width of the feed-forward network unless something else is said; to be passed as `implied`."""

PER_SAMPLE = ("b",)
"""Symbols that classes leave out unless asked: costs are linear in the batch."""


@dataclass(frozen=True)
class Regime:
    """A set of constraints and relations; `constants` are symbols that count as constants in a class.

    Each term of one of the `sums` is a constraint of its own as well.
    """

    text: str = ""
    constraints: tuple[Constraint, ...] = ()
    relations: tuple[tuple[str, Formula], ...] = ()
    sums: tuple[SumConstraint, ...] = ()
    constants: frozenset[str] = frozenset(PER_SAMPLE)

    @classmethod
    def of(cls, *texts: str, constants: Iterable[str] = PER_SAMPLE, implied: Sequence[str] = ()) -> "Regime":
        """The regime of constraints `monomial >> monomial` (or <<, >=, <=, >, <) and relations `symbol = monomial`.

        The lesser side of >=, <=, >> and << may be a sum of monomials. What is `implied` holds as well but is not part
        of the regime's text. UserError for anything else.
        """
        stated = [one for text in (*texts, *implied) for one in read(text)]
        return cls(
            ", ".join(texts),
            tuple(one for one in stated if isinstance(one, Constraint)),
            tuple((one.name, one.value) for one in stated if isinstance(one, Definition)),
            tuple(one for one in stated if isinstance(one, SumConstraint)),
            frozenset(constants),
        )

    def applied(self, node: t.Node) -> t.Node:
        """`node` with every symbol that a relation defines replaced by its definition."""
        for _ in range(len(self.relations) + 1):
            new = t.replace(node, {name: value.tree for name, value in self.relations})
            if new == node:
                return node
            node = new
        raise UserError(f"the relations of the regime go in a circle: {self.text}")

    def collected(self, monomial: Monomial) -> Monomial:
        """`monomial` with definitions folded back: h*d_h becomes d, as often as it divides."""
        for name, value in self.relations:
            pattern, _ = single(self.applied(value.tree))
            power = _multiplicity(monomial, pattern)
            if power:
                folded = frozenset([(name, power)])
                monomial = joined(_divided(monomial, pattern, power), folded)
        return monomial

    @cached_property
    def strict(self) -> bool:
        """Whether the regime has a `>>`."""
        return any(constraint.strict for constraint in self.constraints)

    @cached_property
    def reduced(self) -> tuple[Constraint, ...]:
        """The constraints in terms of the symbols that the relations leave."""
        return tuple(self._reduced(constraint) for constraint in self.constraints)

    @cached_property
    def reduced_sums(self) -> tuple[SumConstraint, ...]:
        """The sums in terms of those symbols."""
        found = []
        for one in self.sums:
            above, scale = single(self.applied(monomial_tree(one.greater)))
            lesser = times_factor(Formula.of_tree(self.applied(one.lesser.tree)), 1 / Fraction(scale))
            found.append(SumConstraint(above, lesser, one.strict))
        return tuple(found)

    def _reduced(self, constraint: Constraint) -> Constraint:
        above, below = (single(self.applied(monomial_tree(side))) for side in (constraint.greater, constraint.lesser))
        factor = t.exact(Fraction(constraint.factor * below[1]) / above[1])
        return replace(constraint, greater=above[0], lesser=below[0], factor=factor)

    def order(self, symbols: Iterable[str], extra: Iterable[Constraint] = ()) -> "Order":
        """The order of monomials in `symbols`, with `extra` constraints. UserError if the regime contradicts itself."""
        return _order(self, frozenset(symbols), tuple(extra))


_MOST_LOOKED_AT = 60


class Order:
    """Compares monomials on the whole of a regime; constants do not count."""

    def __init__(self, regime: Regime, symbols: Iterable[str], extra: Sequence[Constraint]) -> None:
        constraints = (*regime.reduced, *extra)
        mentioned = {a for c in constraints for side in (c.greater, c.lesser) for a, _ in side if isinstance(a, str)}
        self.names = sorted((set(symbols) | mentioned) - regime.constants)
        self.rows = [self._row(c.greater, c.lesser) for c in constraints]
        self.strict_rows = [row for row, c in zip(self.rows, constraints, strict=True) if c.strict]
        self.rays = extreme_rays(len(self.names), self.rows)
        if any(not any(dot(row, ray) for ray in self.rays) for row in self.strict_rows):
            raise UserError(f"the regime contradicts itself: {regime.text}")

    def _row(self, greater: Monomial, lesser: Monomial) -> Vector:
        """log(greater / lesser) in the symbols' logarithms, times a common denominator."""
        quotient = dict(joined(greater, lesser, -1))
        exponents = [Fraction(quotient.get(name, 0)) for name in self.names]
        scale = lcm(*(exponent.denominator for exponent in exponents))
        return tuple(int(exponent * scale) for exponent in exponents)

    def at_most(self, lesser: Monomial, greater: Monomial) -> bool:
        """Whether `lesser` stays below a constant times `greater`."""
        row = self._row(greater, lesser)
        return all(dot(row, ray) >= 0 for ray in self.rays)

    def vanishes(self, lesser: Monomial, greater: Monomial) -> bool:
        """Whether `lesser / greater` goes to 0 as the `>>` of the regime grow.

        It does not if some direction keeps the quotient and yet lets every `>>` grow; such a direction is a sum of
        rays on which the quotient is constant.
        """
        row = self._row(greater, lesser)
        values = [dot(row, ray) for ray in self.rays]
        if not self.strict_rows or min(values, default=0) < 0:
            return False
        level = [ray for ray, value in zip(self.rays, values, strict=True) if value == 0]
        return any(not any(dot(strict, ray) for ray in level) for strict in self.strict_rows)

    def covered(self, monomial: Monomial, others: Sequence[Monomial]) -> bool:
        """Whether `monomial` stays below a constant times the sum of `others`.

        It does unless some direction of the regime makes it larger than each of them at once: pairwise comparison
        alone would miss n*d <= n**2 + d**2. With many symbols the directions are too many to look at, and the answer
        is no: a class then names a term that it could do without.
        """
        if any(self.at_most(monomial, other) for other in others):
            return True
        if len(others) * len(self.names) > _MOST_LOOKED_AT:
            return False
        rows = [self._row(monomial, other) for other in others]
        rays = cut(self.rays, self.rows, rows)
        return any(not any(dot(row, ray) for ray in rays) for row in rows)


@lru_cache(maxsize=256)
def _order(regime: Regime, symbols: frozenset[str], extra: tuple[Constraint, ...]) -> Order:
    return Order(regime, symbols, extra)


def _multiplicity(monomial: Monomial, pattern: Monomial) -> int:
    """How often `pattern` divides `monomial` (negative: how often it divides its inverse)."""
    exponents = dict(monomial)
    quotients = [Fraction(exponents.get(atom, 0)) / exponent for atom, exponent in pattern]
    if not quotients:
        return 0
    if min(quotients) > 0:
        return int(min(quotients))
    return int(max(quotients)) if max(quotients) < 0 else 0


def _divided(monomial: Monomial, pattern: Monomial, power: int) -> Monomial:
    for _ in range(abs(power)):
        monomial = joined(monomial, pattern, -1 if power > 0 else 1)
    return monomial
