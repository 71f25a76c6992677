"""A cost summed over the chunks of a prompt in closed form: a formula of n queries and m keys in, one of n out.

Chunk t of s tokens has s queries and s*t keys. At such sizes rounding to tiles and Min, Max go away, where they do, and
what is left is a polynomial in t, which sums exactly (Faulhaber).
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import comb

from tfcost.analysis import polynomial as poly
from tfcost.analysis.polynomial import Polynomial
from tfcost.analysis.readable import readable
from tfcost.analysis.regime import Regime
from tfcost.analysis.tiles import mapped, whole_part_out
from tfcost.errors import UserError
from tfcost.formula import Formula

_NUMBER = "t"  # of the chunk, from 1 on
_MOST_FIRST = 4  # chunks that may be unlike all later ones


@dataclass(frozen=True, slots=True)
class ChunkSum:
    """A sum over chunks as a `formula` of n, `under` a condition."""

    formula: Formula
    under: str


def summed_over_chunks(of_chunk: Callable[[int], Formula], length: int) -> ChunkSum | None:
    """The sum over n/length chunks of `length` tokens; `of_chunk` gives the formula of chunk 1, 2, ... in n and m, the
    same from chunk 2 on. None where that stays rounded.
    """
    for start in range(1, _MOST_FIRST + 1):
        later = _from_chunk(start, of_chunk(max(start, 2)), length)
        first = [_of_number(number, of_chunk(number), length) for number in range(1, start + 1)]
        if later is None or None in first:
            continue
        if poly.difference(_put(later, start), first[-1] or {}):
            continue
        extra = [poly.difference(one or {}, _put(later, number)) for number, one in enumerate(first, start=1)]
        whole = poly.total([*extra, _summed(later)])
        under = f"n a multiple of {length}" + (f", n >= {(start - 1) * length}" if start > 2 else "")
        in_n = poly.replaced(whole, _NUMBER, {frozenset([("n", 1)]): Fraction(1, length)})
        return ChunkSum(poly.to_formula(in_n), under)
    return None


def _put(terms: Polynomial, number: int) -> Polynomial:
    return poly.replaced(terms, _NUMBER, {poly.UNIT: number})


def _of_number(number: int, formula: Formula, length: int) -> Polynomial | None:
    """`formula` at one chunk, None if a rounding of other sizes is left in it."""
    return _terms(formula.substitute({"n": length, "m": length * number}), Regime.of())


def _from_chunk(start: int, formula: Formula, length: int) -> Polynomial | None:
    """`formula` at chunk t, for t from `start` on, as a polynomial in t."""
    there = formula.substitute({"n": length, "m": f"{length}*{_NUMBER}"})
    # t counts on from `start`, so that what is known of it is that it is at least 1.
    shifted = there.substitute({_NUMBER: f"{_NUMBER} + {start - 1}"})
    terms = _terms(shifted, Regime.of(f"{_NUMBER} >= 1"))
    return terms and poly.replaced(terms, _NUMBER, {frozenset([(_NUMBER, 1)]): 1, poly.UNIT: 1 - start})


def _terms(formula: Formula, regime: Regime) -> Polynomial | None:
    """`formula` multiplied out, its rounding and Min, Max gone; None if t is left inside one of them."""
    try:
        whole = Formula.of_tree(mapped(formula.tree, whole_part_out))
        terms = poly.expand(readable(whole, regime).formula.tree)
    except UserError:
        return None
    left = {atom for monomial in terms for atom, _ in monomial if not isinstance(atom, str)}
    powers = {dict(monomial).get(_NUMBER, 0) for monomial in terms}
    if any(_NUMBER in poly.names({frozenset([(atom, 1)]): 1}) for atom in left):
        return None
    return terms if all(isinstance(power, int) and power >= 0 for power in powers) else None


def _summed(terms: Polynomial) -> Polynomial:
    """The sum of `terms` over the chunks 1 to t."""
    parts = []
    for monomial, coefficient in terms.items():
        power = dict(monomial).get(_NUMBER, 0)
        rest = frozenset(pair for pair in monomial if pair[0] != _NUMBER)
        parts.append(poly.times({rest: coefficient}, _power_sum(int(power))))
    return poly.total(parts)


@cache
def _power_sum(power: int) -> Polynomial:
    """1**power + ... + t**power: (t + 1)**(p + 1) - 1 is the sum of comb(p + 1, k) times the k-th of them."""
    above = poly.raised({frozenset([(_NUMBER, 1)]): 1, poly.UNIT: 1}, power + 1)
    lower = [poly.scaled(_power_sum(k), comb(power + 1, k)) for k in range(power)]
    return poly.scaled(poly.difference(above, poly.total([poly.ONE, *lower])), Fraction(1, power + 1))
