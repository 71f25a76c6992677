"""Where one cost becomes cheaper than another: two formulas (or two functions) of one symbol in; the crossings out.

Over formulas the answer is exact at every integer size, rounding, Min and Max included. Where padding makes the two
alternate around a crossing, the crossing says from where to where.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from tfcost.analysis import polynomial as poly
from tfcost.analysis.dominance import LONGEST
from tfcost.analysis.polynomial import Exact, Polynomial
from tfcost.analysis.readable import readable
from tfcost.analysis.regime import Regime
from tfcost.analysis.segments import Segments, segments
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

FIRST, SECOND = 0, 1
LOOKED_AT = 2**24
"""The largest size at which two functions are compared; two formulas, up to LONGEST."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """`below` is cheaper at sizes under `first`; from `settled` on it is `above`, which may be equal at `settled`.

    Between `first` and `settled` they alternate; `settled` and `above` are None if they do so to the end of the range.
    `below` and `above` are 0 (the first of the two) or 1 (the second); `below` is None if they alternate from the
    start.
    `closed` is the crossing as a formula at whole tiles; without rounding `settled` is its value rounded up.
    """

    first: int
    settled: int | None
    below: int | None
    above: int | None
    closed: Formula | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of two costs is cheaper along `symbol` from `low` to `high`.

    `start` is the cheaper one (0 or 1) before the first crossing; None: they alternate there or, if `equal`, never
    differ. "Cheaper" allows for single sizes at which the two are equal.
    """

    symbol: str
    low: int
    high: int
    start: int | None
    crossings: tuple[Crossing, ...]
    equal: bool = False

    def sentence(self, first: str, second: str) -> str:
        """The comparison in words, with the names of the two; where it does not reach from 1 on or far, it says so."""
        within = [f"{self.symbol} >= {self.low}"] if self.low > 1 else []
        within += [f"{self.symbol} <= {self.high}"] if self.high < LOOKED_AT else []
        return (f"for {' and '.join(within)}: " if within else "") + self._told(first, second)

    def _told(self, first: str, second: str) -> str:
        names = {FIRST: first, SECOND: second, None: "neither always"}
        if self.equal:
            return f"{first} and {second} are equal everywhere"
        if not self.crossings:
            return f"never dearer: {names[self.start]}"
        parts = [f"below {self.symbol} = {self.crossings[0].first}: {names[self.start]}"]
        for crossing in self.crossings:
            if crossing.settled != crossing.first:
                parts.append(f"from {self.symbol} = {crossing.first}: in turns, by padding")
            if crossing.settled is not None:
                parts.append(f"from {self.symbol} = {crossing.settled}: {names[crossing.above]}")
        return "cheaper " + "; ".join(parts)


def compare(
    first: Formula,
    second: Formula,
    symbol: str,
    values: Mapping[str, Exact],
    low: int = 1,
    high: int = LONGEST,
    regime: Regime | None = None,
) -> Comparison:
    """Where `first` and `second` cross as `symbol` goes from `low` to `high`, all other symbols at `values`.

    `regime` serves the closed form alone (h*d_h written d). UserError for a missing value; Undecided for fractional
    powers of `symbol` and quotients by sums.
    """
    one, two = (_along(formula, symbol, values) for formula in (first, second))
    found = _strict(segments(_gap(one, two), symbol, low, high))
    comparison = _comparison(found, symbol, low, high)
    if len(comparison.crossings) == 1 and comparison.crossings[0].settled is not None:
        closed = _closed(first, second, symbol, regime or Regime.of())
        return replace(comparison, crossings=(replace(comparison.crossings[0], closed=closed),))
    return comparison


def compare_functions(
    first: Callable[[int], float], second: Callable[[int], float], symbol: str, low: int = 1, high: int = LOOKED_AT
) -> Comparison:
    """The same for any two functions, such as predicted times, looked at once per doubling and bisected between.

    Two crossings within one doubling are missed; what is found is exact for functions that cross once there.
    """
    places = [low]
    while places[-1] < high:
        places.append(min(2 * places[-1], high))
    signs = [(place, _function_sign(first, second, place)) for place in places]
    found: Segments = [signs[0]]
    for (left, before), (right, after) in pairwise(signs):
        if before != after:
            found.append((_bisected(first, second, left, right, before), after))
    return _comparison(_strict(found), symbol, low, high)


def _function_sign(first: Callable[[int], float], second: Callable[[int], float], place: int) -> int:
    one, two = first(place), second(place)
    return (one > two) - (one < two)


def _bisected(first: Callable[[int], float], second: Callable[[int], float], low: int, high: int, before: int) -> int:
    """The first place after `low` at which the sign is no longer `before`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _function_sign(first, second, middle) == before else (low, middle)
    return high


def _along(formula: Formula, symbol: str, values: Mapping[str, Exact]) -> Formula:
    """`formula` with everything but `symbol` at its value."""
    missing = sorted(formula.symbols - values.keys() - {symbol})
    if missing:
        raise UserError(f"no value for {', '.join(missing)}, needed to compare along {symbol}")
    return formula.substitute({name: values[name] for name in formula.symbols - {symbol}})


def _gap(first: Formula, second: Formula) -> t.Node:
    return t.add([first.tree, t.multiply([t.Number(-1), second.tree])])


def _strict(found: Segments) -> Segments:
    """The segments without those of equality: one between two signs goes to the later one, others disappear."""
    kept: Segments = []
    equal_from: int | None = None
    for start, sign in found:
        if sign == 0:
            equal_from = start
        elif not kept or kept[-1][1] != sign:
            kept.append((start if equal_from is None else equal_from, sign))
            equal_from = None
        else:
            equal_from = None
    return kept


def _comparison(found: Segments, symbol: str, low: int, high: int) -> Comparison:
    if not found:
        return Comparison(symbol, low, high, None, (), equal=True)
    cheaper = [(start, None if sign is None else (SECOND if sign > 0 else FIRST)) for start, sign in found]
    crossings: list[Crossing] = []
    below, first = cheaper[0][1], None
    for start, index in cheaper[1:]:
        if index is None:
            first = start
        else:
            crossings.append(Crossing(start if first is None else first, start, below, index))
            below, first = index, None
    if first is not None:
        crossings.append(Crossing(first, None, below, None))
    return Comparison(symbol, low, high, cheaper[0][1], tuple(crossings))


def _closed(first: Formula, second: Formula, symbol: str, regime: Regime) -> Formula | None:
    """The root of the readable difference, if that is linear in `symbol` but for a common factor."""
    forms = [readable(formula, regime, collect=True).formula for formula in (first, second)]
    by_power: dict[Exact, Polynomial] = {}
    for monomial, coefficient in poly.expand(_gap(*forms)).items():
        power = dict(monomial).get(symbol, 0)
        rest = frozenset(pair for pair in monomial if pair[0] != symbol)
        by_power.setdefault(power, {})[rest] = coefficient
    if len(by_power) != 2 or max(by_power) - min(by_power) != 1:
        return None
    constant, slope = by_power[min(by_power)], by_power[max(by_power)]
    root = poly.quotient(poly.scaled(constant, -1), slope)
    return None if symbol in root.symbols else root
