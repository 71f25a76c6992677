"""Rounding, Min and Max between polynomials: syntax tree and regime in, a lower and an upper polynomial out.

Two sets of lower bounds exist, because neither is better everywhere: tight ones keep the leading constant
(floor(x) >= x - 1), even ones keep coefficients positive (floor(x) >= x/2 for x >= 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tfcost.analysis import polynomial as poly
from tfcost.analysis.constraints import Constraint
from tfcost.analysis.polynomial import Exact, Monomial, Polynomial
from tfcost.analysis.regime import Regime
from tfcost.analysis.slack import nonnegative
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

_FACTORS = (1, 2, 4, 8, 16)


class Undecided(UserError):
    """The regime does not say enough: the message names what it leaves open."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`lower` <= the formula <= `upper`."""

    lower: Polynomial
    upper: Polynomial


@dataclass
class Bounder:
    """Bounds formulas under `regime`; `extra` collects constraints on the Min that had to stay as they are."""

    regime: Regime
    even: bool
    extra: list[Constraint] = field(default_factory=list)

    def bounds(self, node: t.Node) -> Bounds:
        """The bounds of `node`. Undecided if a part of it has none."""
        lower: list[Mapping[Monomial, Exact]] = []
        upper: list[Mapping[Monomial, Exact]] = []
        for monomial, coefficient in poly.expand(node).items():
            term = self._term(monomial)
            low, high = (term.lower, term.upper) if coefficient > 0 else (term.upper, term.lower)
            lower.append(poly.scaled(low, coefficient))
            upper.append(poly.scaled(high, coefficient))
        return Bounds(poly.total(lower), poly.total(upper))

    def _term(self, monomial: Monomial) -> Bounds:
        symbols = frozenset(pair for pair in monomial if isinstance(pair[0], str))
        result = Bounds({symbols: 1}, {symbols: 1})
        parts = [pair for pair in monomial if not isinstance(pair[0], str)]
        several = len(parts) > 1 or any(exponent != 1 for _, exponent in parts)
        for atom, exponent in parts:
            assert not isinstance(atom, str)
            if not isinstance(atom, t.Call) or not isinstance(exponent, int) or exponent < 0:
                raise Undecided(f"no bounds for {_text(t.power(atom, exponent))}")
            part = self._call(atom)
            if several and not self._nonnegative(part.lower):
                raise Undecided(f"{self._where()} does not show that {_text(atom)} is not negative")
            low, high = poly.raised(part.lower, exponent), poly.raised(part.upper, exponent)
            result = Bounds(poly.times(result.lower, low), poly.times(result.upper, high))
        return result

    def _call(self, call: t.Call) -> Bounds:
        match call.function:
            case "ceiling":
                return self._ceiling(call.arguments[0])
            case "floor":
                return self._floor(call.arguments[0])
            case "Mod":
                return Bounds({}, self.bounds(call.arguments[1]).upper)
            case "Max":
                return self._max(call)
            case _:
                return self._min(call)

    def _ceiling(self, argument: t.Node) -> Bounds:
        inner = self.bounds(argument)
        upper = poly.total([inner.upper, poly.ONE])
        if self.even and inner.lower and self._nonnegative(inner.lower):
            return Bounds(poly.scaled(poly.total([inner.lower, poly.ONE]), Fraction(1, 2)), upper)
        return Bounds(inner.lower, upper)

    def _floor(self, argument: t.Node) -> Bounds:
        inner = self.bounds(argument)
        if self.even and self._at_least_one(inner.lower):
            return Bounds(poly.scaled(inner.lower, Fraction(1, 2)), inner.upper)
        return Bounds(poly.difference(inner.lower, poly.ONE), inner.upper)

    def _at_least_one(self, polynomial: Polynomial) -> bool:
        """Whether `polynomial` is at least 1, at large sizes: n/128 is, n/B is where n >= B."""
        if self._at_least(polynomial, dict(poly.ONE)):
            return True
        growing = all(_grows(monomial, self.regime) and c > 0 for monomial, c in polynomial.items())
        return bool(polynomial) and growing

    def _max(self, call: t.Call) -> Bounds:
        parts = [self.bounds(argument) for argument in call.arguments]
        kept = self._kept(parts, largest=True)
        if len(kept) == 1:
            return kept[0]
        lower = poly.scaled(poly.total(part.lower for part in kept), Fraction(1, len(kept)))
        return Bounds(lower, poly.total(positive_part(part.upper) for part in kept))

    def _min(self, call: t.Call) -> Bounds:
        parts = [self.bounds(argument) for argument in call.arguments]
        kept = self._kept(parts, largest=False)
        if len(kept) == 1:
            return kept[0]
        for part in kept:
            for factor in _FACTORS:
                if all(self._at_least(poly.scaled(other.lower, factor), part.upper) for other in kept):
                    return Bounds(poly.scaled(part.lower, Fraction(1, factor)), part.upper)
        return self._open_min(call, kept)

    def _kept(self, parts: list[Bounds], largest: bool) -> list[Bounds]:
        """The `parts` that may be the largest (or smallest): those not shown to be beaten by another."""
        kept = list(parts)
        for part in parts:
            others = [other for other in kept if other is not part]
            pairs = [(other.lower, part.upper) if largest else (part.lower, other.upper) for other in others]
            if any(self._at_least(high, low) for high, low in pairs):
                kept = others
        return kept

    def _open_min(self, call: t.Call, parts: list[Bounds]) -> Bounds:
        """A Min that the regime leaves open, as a symbol of its own between constant multiples."""
        spans = [self._span(part) for part in parts]
        known = [span for span in spans if span is not None]
        if len(known) < len(spans):
            raise Undecided(f"{self._where()} does not decide {_text(call)}")
        smallest = t.call("Min", sorted((poly.monomial_tree(monomial) for monomial, _, _ in known), key=_text))
        symbol: Monomial = frozenset([(_text(smallest), 1)])
        self.extra += [Constraint(monomial, symbol, 1, strict=False) for monomial, _, _ in known]
        return Bounds({symbol: min(low for _, low, _ in known)}, {symbol: max(high for _, _, high in known)})

    def _span(self, part: Bounds) -> tuple[Monomial, Exact, Exact] | None:
        """A monomial and two factors between which it bounds `part`; None if no term of it does."""
        for monomial, low in part.lower.items():
            if low <= 0 or any(exponent < 0 for _, exponent in monomial):
                continue
            for high in _FACTORS:
                if self._at_least({monomial: high * low}, part.upper) and self._at_least(part.lower, {monomial: low}):
                    return monomial, low, high * low
        return None

    def _at_least(self, high: Polynomial, low: Polynomial) -> bool:
        return self._nonnegative(poly.difference(high, low))

    def _nonnegative(self, polynomial: Polynomial) -> bool:
        return nonnegative(polynomial, self.regime)

    def _where(self) -> str:
        return f"the regime {self.regime.text}" if self.regime.text else "no regime is given, which"


def positive_part(polynomial: Polynomial) -> Polynomial:
    """The terms with positive coefficients."""
    return {monomial: coefficient for monomial, coefficient in polynomial.items() if coefficient > 0}


def _grows(monomial: Monomial, regime: Regime) -> bool:
    return bool(monomial) and all(power > 0 and atom not in regime.constants for atom, power in monomial)


def _text(node: t.Node) -> str:
    return Formula.of_tree(node).text
