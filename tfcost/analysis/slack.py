"""Proofs that a polynomial is not negative on a regime: slack variables in, yes or "not shown" out.

A symbol with a lower bound, n >= w, is written w*(1 + s) with s >= 0, one without, K*(1 + s). If every coefficient of
the result is positive, so is the polynomial. K is 1 for statements about all sizes, larger for large sizes only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from math import prod

from tfcost.analysis.polynomial import (
    UNIT,
    Exact,
    Monomial,
    Polynomial,
    expand,
    joined,
    names,
    replaced,
    scaled,
    times,
    total,
)
from tfcost.analysis.regime import Regime
from tfcost.formula.tree import exact

_MOST_CHOICES = 64
_SLACK = "slack of "  # no symbol can have such a name


@dataclass(frozen=True)
class Slack:
    """Replacements to be made one after the other: (symbol, its lower bound times 1 + slack)."""

    steps: tuple[tuple[str, Polynomial], ...]

    def applied(self, polynomials: Sequence[Polynomial]) -> list[Polynomial]:
        """The polynomials in slack variables, all multiplied by the same positive monomial if need be."""
        result = list(polynomials)
        for name, value in self.steps:
            monomials = [monomial for polynomial in result for monomial in polynomial]
            exponents = [power for monomial in monomials for atom, power in monomial if atom == name]
            if any(not isinstance(exponent, int) for exponent in exponents):
                continue
            lowest = min(exponents, default=0)
            if lowest < 0:
                clearing: Polynomial = {frozenset([(name, -lowest)]): 1}
                result = [times(polynomial, clearing) for polynomial in result]
            result = [replaced(polynomial, name, value) for polynomial in result]
        return result


def nonnegative(polynomial: Polynomial, regime: Regime) -> bool:
    """Whether `polynomial` is shown to be >= 0 at all sizes of `regime` (False: not shown)."""
    if all(coefficient > 0 for coefficient in polynomial.values()):
        return True
    if all(coefficient < 0 for coefficient in polynomial.values()):
        return False
    if any(_negative_at(polynomial, sizes) for sizes in samples(regime, frozenset(names(polynomial)))):
        return False
    return any(_positive(slack.applied([polynomial])[0]) for slack in slacks(regime, names(polynomial), 1))


@lru_cache(maxsize=1000)
def samples(regime: Regime, symbols: frozenset[str]) -> tuple[Mapping[str, float], ...]:
    """Sizes that the regime allows: a polynomial that is negative at one of them needs no proof tried. All small, all
    large, and each symbol for itself far larger than it has to be.
    """
    bounds = _lower_bounds(regime, 1)
    reached = set(symbols)
    for _ in bounds:
        reached |= {name for known in reached for bound in bounds.get(known, ()) for name in names(bound)}
    starts = [dict.fromkeys(reached, size) for size in (1.0, 7.0, 1e3)]
    starts += [{**dict.fromkeys(reached, 2.0), name: 1e4} for name in sorted(reached)]
    raised = (_raised(start, bounds) for start in starts)
    return tuple(sizes for sizes in raised if sizes)


def _raised(sizes: dict[str, float], bounds: Mapping[str, Sequence[Polynomial]]) -> dict[str, float]:
    """`sizes` with every symbol at least what it has to be; {} where that does not come to an end."""
    for _ in range(len(sizes) + 1):
        least = {name: max([sizes[name], *(_value(one, sizes) for one in bounds.get(name, ()))]) for name in sizes}
        if least == sizes:
            return sizes
        sizes = least
    return {}


def _value(polynomial: Polynomial, sizes: Mapping[str, float]) -> float:
    return sum(
        float(coefficient) * float(prod(sizes[str(atom)] ** float(power) for atom, power in monomial))
        for monomial, coefficient in polynomial.items()
    )


def _negative_at(polynomial: Polynomial, sizes: Mapping[str, float]) -> bool:
    """Whether it is negative there beyond rounding; one with other atoms than symbols has no value."""
    if not all(isinstance(atom, str) and atom in sizes for monomial in polynomial for atom, _ in monomial):
        return False
    terms = [_value({monomial: coefficient}, sizes) for monomial, coefficient in polynomial.items()]
    return sum(terms) < -1e-9 * sum(map(abs, terms))


def bounded_below(polynomial: Polynomial, target: Polynomial, regime: Regime, base: int) -> bool:
    """Whether `polynomial` is shown to be at least a constant times `target` once every symbol is at least `base`."""
    for slack in slacks(regime, names(polynomial) | names(target), base):
        low, wanted = slack.applied([polynomial, target])
        if _positive(low) and _supported(wanted, low):
            return True
    return False


def slacks(regime: Regime, symbols: set[str], base: int) -> Iterator[Slack]:
    """The ways to write the symbols with slack variables, at most some dozens."""
    bounds = _lower_bounds(regime, base)
    reached = set(symbols)
    for _ in range(len(bounds)):
        reached |= {name for known in reached for bound in bounds.get(known, ()) for name in names(bound)}
    ordered = sorted(reached)
    choices = product(*[[*bounds.get(name, ()), _constant(name, regime, base)] for name in ordered])
    for choice in islice(choices, _MOST_CHOICES):
        steps = _in_order(dict(zip(ordered, choice, strict=True)))
        if steps is not None:
            yield Slack(tuple((name, times(bound, _one_plus_slack(name))) for name, bound in steps))


def _lower_bounds(regime: Regime, base: int) -> dict[str, list[Polynomial]]:
    """For every symbol what it is at least, sums first: they say more than their terms."""
    bounds: dict[str, list[Polynomial]] = {}

    def add(greater: Monomial, lesser: Polynomial, margin: int = 0) -> None:
        for atom, exponent in greater:
            if exponent == 1 and isinstance(atom, str) and atom not in regime.constants:
                rest: Monomial = frozenset(pair for pair in greater if pair[0] != atom)
                least = times(lesser, {joined(UNIT, rest, -1): 1})
                bounds.setdefault(atom, []).append(total([least, {UNIT: margin if not rest else 0}]))

    for one in regime.reduced_sums:
        add(one.greater, scaled(expand(one.lesser.tree), base if one.strict else 1))
    for constraint in regime.reduced:
        factor = constraint.factor * (base if constraint.strict else 1)
        add(constraint.greater, {constraint.lesser: exact(factor)}, constraint.margin)
    return bounds


def _constant(name: str, regime: Regime, base: int) -> Polynomial:
    return {UNIT: 1 if name in regime.constants else base}


def _one_plus_slack(name: str) -> Mapping[Monomial, Exact]:
    return {UNIT: 1, frozenset([(_SLACK + name, 1)]): 1}


def _in_order(bounds: dict[str, Polynomial]) -> list[tuple[str, Polynomial]] | None:
    """The symbols so that each comes before those in its bound; None if they go in a circle."""
    waiting = dict(bounds)
    ordered: list[tuple[str, Polynomial]] = []
    while waiting:
        used = {name for bound in waiting.values() for name in names(bound)}
        free = [name for name in waiting if name not in used]
        if not free:
            return None
        ordered += [(name, waiting.pop(name)) for name in free]
    return ordered


def _positive(polynomial: Polynomial) -> bool:
    return all(coefficient > 0 for coefficient in polynomial.values())


def _supported(wanted: Polynomial, polynomial: Polynomial) -> bool:
    """Whether every monomial of `wanted`, times powers of symbols, which are at least 1, is a term of `polynomial`."""
    terms: dict[Monomial, list[Monomial]] = {}
    for term in polynomial:
        slack, rest = _parts(term)
        terms.setdefault(slack, []).append(rest)
    for monomial in wanted:
        slack, rest = _parts(monomial)
        if not any(all(power > 0 for _, power in joined(term, rest, -1)) for term in terms.get(slack, ())):
            return False
    return True


def _parts(monomial: Monomial) -> tuple[Monomial, Monomial]:
    """The slack variables of a monomial, and the rest of it."""
    slack = frozenset(pair for pair in monomial if str(pair[0]).startswith(_SLACK))
    return slack, monomial - slack
