"""A cost summed over the chunks of a prompt in closed form: a formula of n queries and m keys in, one of n out.

Chunk t of s tokens has s queries and s*t keys. At such sizes rounding to tiles and Min, Max go away, where they do, and
what is left is a polynomial in t, which sums exactly (Faulhaber).
"""

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
_FROM_THE_FIRST = Regime.of(f"{_NUMBER} >= 1")


def summed_over_chunks(first: Formula, later: Formula, length: int) -> Formula | None:
    """The sum over n/length chunks: `first` at n = m = length, and `later` at n = length, m = 2*length, 3*length, ...

    For n a multiple of `length`; None where one of them stays rounded.
    """
    one, more = _of_chunk(first, length), _of_chunk(later, length)
    if one is None or more is None:
        return None
    first_alone = poly.replaced(poly.difference(one, more), _NUMBER, poly.ONE)
    whole = poly.total([first_alone, _summed(more)])
    return poly.to_formula(poly.replaced(whole, _NUMBER, {frozenset([("n", 1)]): Fraction(1, length)}))


def _of_chunk(formula: Formula, length: int) -> Polynomial | None:
    """`formula` at chunk t, as a polynomial in t."""
    there = formula.substitute({"n": length, "m": f"{length}*{_NUMBER}"})
    try:
        whole = Formula.of_tree(mapped(there.tree, whole_part_out))
        terms = poly.expand(readable(whole, _FROM_THE_FIRST).formula.tree)
    except UserError:
        return None
    for monomial in terms:
        for atom, power in monomial:
            inside = not isinstance(atom, str) and _NUMBER in poly.names({frozenset([(atom, 1)]): 1})
            if inside or (atom == _NUMBER and not (isinstance(power, int) and power > 0)):
                return None
    return terms


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
    """1**power + 2**power + ... + t**power: (t + 1)**(p + 1) - 1 is the sum of comb(p + 1, k) times the k-th of them."""
    above = poly.raised({frozenset([(_NUMBER, 1)]): 1, poly.UNIT: 1}, power + 1)
    lower = [poly.scaled(_power_sum(k), comb(power + 1, k)) for k in range(power)]
    return poly.scaled(poly.difference(above, poly.total([poly.ONE, *lower])), Fraction(1, power + 1))
