"""Memory of a ragged batch: a peak of equal sequences in; that of sequences with sizes of their own, out.

A step is done for all sequences before the next one begins, as in a padded batch. At every moment that memory may be
highest at, what grows with a length is there once for each sequence, at its own length; what grows with the batch or
the tokens alone is as large as in a batch of as many; and weights are there once.
"""

from collections.abc import Sequence
from fractions import Fraction

from tfcost.analysis import polynomial as poly
from tfcost.analysis.polynomial import Exact, Monomial, Polynomial
from tfcost.analysis.portions import Sizes, is_token_wise
from tfcost.formula import Formula
from tfcost.formula import tree as t

_MOST_MOMENTS = 1000


def ragged(formula: Formula, each: Sequence[Sizes]) -> Exact | None:
    """`formula`, a sum or the largest of several, for a batch of the sequences `each`, all of whose sizes are given and
    are the same but for lengths; None where it is not a sum over sequences.
    """
    moments = _moments(poly.expand(formula.tree))
    found = [_moment(moment, each) for moment in moments[:_MOST_MOMENTS]]
    known = [one for one in found if one is not None]
    return max(known) if len(known) == len(moments) else None


def _moments(terms: Polynomial) -> list[Polynomial]:
    """The sums that `terms` is the largest of: a sum with a Max in it is the largest of those with its arguments."""
    for monomial, coefficient in terms.items():
        for atom, power in monomial:
            if isinstance(atom, t.Call) and atom.function == "Max" and power == 1 and coefficient > 0:
                chosen = [poly.replaced(terms, atom, poly.expand(argument)) for argument in atom.arguments]
                return [moment for one in chosen for moment in _moments(one)][: _MOST_MOMENTS + 1]
    return [terms]


def _moment(terms: Polynomial, each: Sequence[Sizes]) -> Exact | None:
    lengths = {name for name in each[0] if any(one[name] != each[0][name] for one in each)} | {"n", "m"}
    of_each: Polynomial = {}
    shared: Polynomial = {}
    row = {**each[0], "n": Fraction(sum(one["n"] for one in each)) / len(each)} if "n" in each[0] else each[0]
    for monomial, coefficient in terms.items():
        names = poly.names({monomial: 1})
        if not names & lengths:
            shared[monomial] = coefficient
        elif _adds_up(monomial):
            of_each[monomial] = coefficient
        elif "m" not in names and is_token_wise(poly.to_formula({monomial: 1})):
            shared[monomial] = coefficient
        else:
            return None
    own = poly.to_formula(of_each)
    return sum(own.evaluate({**one, "b": 1}) for one in each) + poly.to_formula(shared).evaluate(row)


def _adds_up(monomial: Monomial) -> bool:
    """Whether the term is there once per sequence: b at most once, and not inside rounding."""
    inside = any("b" in poly.names({frozenset([(atom, 1)]): 1}) for atom, _ in monomial if not isinstance(atom, str))
    return not inside and dict(monomial).get("b", 0) in (0, 1)
