"""The sign of a formula of one symbol at every integer of a range: syntax tree in, segments out; exact.

Min and Max split the range where their arguments cross. Without rounding the rest is a polynomial. With rounding it is
put between two polynomials, and only where these disagree the sizes are gone through, or the residues modulo the tile.
"""

from fractions import Fraction
from itertools import pairwise

from tfcost.analysis import polynomial as poly
from tfcost.analysis.bounds import Bounder, Undecided
from tfcost.analysis.polynomial import Exact, Polynomial
from tfcost.analysis.regime import Regime
from tfcost.analysis.signs import Runs, merged, polynomial_signs
from tfcost.analysis.tiles import aligned, mapped, require, whole_part_out
from tfcost.formula import tree as t
from tfcost.formula.evaluate import compile_tree

Segments = list[tuple[int, int | None]]
"""(start, sign): the sign from `start` up to the next start, single zeros aside; None: both signs occur in turns."""

_SCANNED = 2048
_PROBED = 16
_LONGEST_PERIOD = 2048


def segments(node: t.Node, symbol: str, low: int, high: int) -> Segments:
    """The segments of `node`, whose only symbol is `symbol`, over `low` ... `high`.

    Undecided for fractional powers, quotients by sums, and tiles of thousands of elements.
    """
    call = _innermost(node)
    if call is None:
        return _rounded(node, symbol, low, high)
    one, two, *rest = call.arguments
    result: Segments = []
    for start, end, sign in _spans(segments(_minus(one, two), symbol, low, high), high):
        if sign is None:
            raise Undecided(f"the arguments of {call.function} change places again and again from {symbol} = {start}")
        chosen = one if (sign >= 0) == (call.function == "Max") else two
        simpler = t.call(call.function, [chosen, *rest]) if rest else chosen
        result += segments(_with(node, call, simpler), symbol, start, end)
    return _merged(result)


def _innermost(node: t.Node) -> t.Call | None:
    """A Min or Max without another inside."""
    for child in t.children(node):
        if (found := _innermost(child)) is not None:
            return found
    return node if isinstance(node, t.Call) and node.function in ("Min", "Max") else None


def _with(node: t.Node, call: t.Call, new: t.Node) -> t.Node:
    return mapped(node, lambda found: new if found == call else found)


def _minus(one: t.Node, two: t.Node) -> t.Node:
    return t.add([one, t.multiply([t.Number(-1), two])])


def _spans(found: Segments, high: int) -> list[tuple[int, int, int | None]]:
    """(first, last, sign) of every segment."""
    return [(start, end - 1, sign) for (start, sign), (end, _) in pairwise([*found, (high + 1, 0)])]


def _merged(found: Segments) -> Segments:
    kept: Segments = []
    for start, sign in found:
        if not kept or kept[-1][1] != sign:
            kept.append((start, sign))
    return kept


def _rounded(node: t.Node, symbol: str, low: int, high: int) -> Segments:
    """The segments of a formula with rounding but without Min and Max."""
    terms = poly.expand(node)
    if all(isinstance(atom, str) for monomial in terms for atom, _ in monomial):
        return list(_polynomial(terms, symbol, low, high))
    try:
        bounds = Bounder(Regime.of(), even=False).bounds(node)
    except Undecided:
        return _unclear(node, symbol, low, high)
    below = _polynomial(bounds.lower, symbol, low, high)
    above = _polynomial(bounds.upper, symbol, low, high)
    starts = sorted({start for start, _ in (*below, *above)})
    result: Segments = []
    for start, end in pairwise([*starts, high + 1]):
        low_sign, high_sign = _at(below, start), _at(above, start)
        if low_sign > 0 or high_sign < 0:
            result.append((start, 1 if low_sign > 0 else -1))
        elif low_sign == 0 and _differs(node, symbol, start, end):
            result.append((start, 1))
        elif high_sign == 0 and _differs(node, symbol, start, end):
            result.append((start, -1))
        else:
            result += _unclear(node, symbol, start, end - 1)
    return _merged(result)


def _differs(node: t.Node, symbol: str, start: int, end: int) -> bool:
    """Whether the value is not 0 at one of some sizes, where its sign can be only 0 and one other."""
    value = compile_tree(node)
    return any(value({symbol: x}) for x in range(start, min(end, start + _PROBED)))


def _at(runs: Runs, place: int) -> int:
    return next(sign for start, sign in reversed(runs) if start <= place)


def _polynomial(terms: Polynomial, symbol: str, low: int, high: int) -> Runs:
    exponents = {monomial: dict(monomial).get(symbol, 0) for monomial in terms}
    if any(set(dict(monomial)) - {symbol} for monomial in terms):
        raise Undecided(f"no sign of {poly.to_formula(terms)} along {symbol}: it has quotients by sums or roots")
    if any(not isinstance(exponent, int) for exponent in exponents.values()):
        raise Undecided(f"no sign of {poly.to_formula(terms)} along {symbol}: it has fractional powers")
    lowest = min([0, *(int(exponent) for exponent in exponents.values())])
    coefficients: list[Exact] = [0] * (max([0, *map(int, exponents.values())]) - lowest + 1)
    for monomial, coefficient in terms.items():
        coefficients[int(exponents[monomial]) - lowest] = coefficient
    return polynomial_signs(coefficients, low, high)


def _unclear(node: t.Node, symbol: str, low: int, high: int) -> Segments:
    if high - low >= _SCANNED:
        return _by_residue(node, symbol, low, high)
    value = compile_tree(node)
    return _summed_up([(x, _sign(value({symbol: x}))) for x in range(low, high + 1)])


def _sign(value: int | Fraction) -> int:
    return (value > 0) - (value < 0)


def _summed_up(runs: Runs) -> Segments:
    """The runs, with everything between the first and the last of more than two sign changes as one segment."""
    runs = merged(runs)
    changes = [start for start, _ in merged([run for run in runs if run[1]])][1:]
    if len(changes) < 3:
        return list(runs)
    before = [run for run in runs if run[0] < changes[0]]
    after = [run for run in runs if run[0] >= changes[-1]]
    return [*before, (changes[0], None), *after]


def _by_residue(node: t.Node, symbol: str, low: int, high: int) -> Segments:
    """Where `symbol` = period*T + r, rounding goes away and a polynomial in T is left for every r."""
    period = _period(node, symbol)
    signs: dict[int, int] = {}
    changes: list[tuple[int, int, int]] = []
    for residue in range(period):
        tile: dict[str, t.Node] = {symbol: t.add([t.multiply([t.Number(period), t.Symbol(symbol)]), t.Number(residue)])}
        terms = poly.expand(mapped(t.replace(node, tile), whole_part_out))
        first, last = -((residue - low) // period), (high - residue) // period
        if first <= last:
            runs = _polynomial(terms, symbol, first, last)
            changes += [(start * period + residue, residue, sign) for start, sign in runs]
    result: Segments = []
    for start, residue, sign in sorted(changes):
        signs[residue] = sign
        result.append((max(start, low), _common(set(signs.values()))))
    return _merged(result)


def _common(signs: set[int]) -> int | None:
    """The sign that all residues share, zeros aside."""
    strict = signs - {0}
    if len(strict) == 2:
        return None
    return strict.pop() if strict else 0


def _period(node: t.Node, symbol: str) -> int:
    """The common multiple of all tiles."""
    divisors: dict[str, Polynomial] = {}
    while require(node, divisors):
        node = aligned(node, divisors)
    period = divisors.get(symbol, dict(poly.ONE)).get(poly.UNIT, 0)
    if not isinstance(period, int) or not 0 < period <= _LONGEST_PERIOD:
        raise Undecided(f"the rounding along {symbol} has no common tile of at most {_LONGEST_PERIOD}")
    return period
