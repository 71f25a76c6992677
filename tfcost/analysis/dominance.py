"""Which term rules: a formula and sizes in; every term's share, and where along one symbol the largest changes, out.

"Short sequences are ruled by d, long ones by n" is such a statement: 24*n*d**2 gives way to 4*n**2*d at n = 6*d.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tfcost.analysis import polynomial as poly
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.polynomial import Exact, Monomial, Polynomial
from tfcost.analysis.regime import Regime
from tfcost.formula import Formula
from tfcost.formula import tree as t

LONGEST = 2**40
"""The largest size that is looked at."""


@dataclass(frozen=True, slots=True)
class Share:
    """One term of a formula, its value at the given sizes and its share of the total of absolute values."""

    term: Formula
    value: Exact
    share: Fraction


@dataclass(frozen=True, slots=True)
class Flip:
    """From `symbol` = `at` on, `after` is the largest term, `before` up to there. `closed`: `at` as a formula in the
    other symbols, of which `at` is the value rounded up.
    """

    symbol: str
    at: int
    before: Formula
    after: Formula
    closed: Formula


@dataclass(frozen=True, slots=True)
class _Line:
    """A term along one symbol: factor * symbol ** exponent at the given sizes."""

    monomial: Monomial
    coefficient: Exact
    factor: Exact
    exponent: Exact

    def value(self, size: int, common: int) -> Exact:
        """The absolute value to the power of `common`, which makes every exponent whole."""
        return abs(Fraction(self.factor)) ** common * Fraction(size) ** int(self.exponent * common)


def shares(formula: Formula, values: Mapping[str, Exact], regime: Regime | None = None) -> tuple[Share, ...]:
    """The terms of `formula` multiplied out, largest first; `regime`: with its definitions (h*d_h is d) written in."""
    terms = [(poly.to_formula({m: c}), c) for m, c in _terms(formula, regime).items()]
    valued = [(term, term.evaluate(values)) for term, _ in terms]
    whole = sum(abs(Fraction(value)) for _, value in valued) or 1
    found = [Share(term, value, abs(Fraction(value)) / whole) for term, value in valued]
    return tuple(sorted(found, key=lambda share: (-share.share, share.term.text)))


def flips(
    formula: Formula, symbol: str, values: Mapping[str, Exact], regime: Regime | None = None, longest: int = LONGEST
) -> tuple[Flip, ...]:
    """Where the largest term of `formula` changes as `symbol` goes from 1 to `longest`, all else at `values`.

    Undecided (a UserError) if `symbol` occurs inside rounding: pass the readable form.
    """
    lines = [_line(monomial, c, symbol, values) for monomial, c in _terms(formula, regime).items()]
    lines = [line for line in lines if line.factor]
    if not lines:
        return ()
    found: list[Flip] = []
    size, current = 1, _largest(lines, 1)
    while (step := _next(lines, current, size, longest)) is not None:
        size, following = step
        found.append(Flip(symbol, size, _term(current), _term(following), _closed(current, following, symbol)))
        current = following
    return tuple(found)


def _terms(formula: Formula, regime: Regime | None) -> Polynomial:
    if regime is None:
        return poly.expand(formula.tree)
    terms = poly.expand(regime.applied(formula.tree))
    return poly.total({regime.collected(monomial): coefficient} for monomial, coefficient in terms.items())


def _term(line: _Line) -> Formula:
    return poly.to_formula({line.monomial: line.coefficient})


def _line(monomial: Monomial, coefficient: Exact, symbol: str, values: Mapping[str, Exact]) -> _Line:
    rest = frozenset(pair for pair in monomial if pair[0] != symbol)
    factor = poly.to_formula({rest: coefficient})
    if symbol in factor.symbols:
        raise Undecided(f"{symbol} is inside rounding or Min in {factor}: its terms have no powers to compare")
    return _Line(monomial, coefficient, factor.evaluate(values), dict(monomial).get(symbol, 0))


def _largest(lines: list[_Line], size: int) -> _Line:
    """The largest term at `size`; of equal ones the one that grows fastest."""
    common = _common([line.exponent for line in lines])
    return max(lines, key=lambda line: (line.value(size, common), line.exponent))


def _next(lines: list[_Line], current: _Line, size: int, longest: int) -> tuple[int, _Line] | None:
    """The next size at which a faster growing term reaches `current`, and that term."""
    faster = [line for line in lines if line.exponent > current.exponent]
    reached = [at for line in faster if (at := _meeting(current, line, size, longest)) is not None]
    if not reached:
        return None
    return min(reached), _largest(lines, min(reached))


def _meeting(slow: _Line, fast: _Line, low: int, high: int) -> int | None:
    """The smallest size above `low` at which `fast` is at least `slow`: their quotient only grows."""
    common = _common([slow.exponent, fast.exponent])
    if fast.value(high, common) < slow.value(high, common):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fast.value(middle, common) >= slow.value(middle, common) else (middle, high)
    return high


def _common(exponents: list[Exact]) -> int:
    product = 1
    for exponent in exponents:
        product *= exponent.denominator
    return product


def _closed(slow: _Line, fast: _Line, symbol: str) -> Formula:
    """The size at which two terms are equal, from their quotient."""
    quotient = poly.joined(slow.monomial, fast.monomial, -1)
    rest = frozenset(pair for pair in quotient if pair[0] != symbol)
    ratio = t.exact(abs(Fraction(slow.coefficient) / fast.coefficient))
    return poly.to_formula(poly.raised({rest: ratio}, t.exact(1 / Fraction(fast.exponent - slow.exponent))))
