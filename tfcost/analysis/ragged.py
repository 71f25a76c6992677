"""Memory of a ragged batch: a peak of equal sequences in; that of sequences with sizes of their own, out.

A step is done for all sequences before the next one begins, as in a padded batch. At every moment that memory may be
highest at, what belongs to the sequences is there once for each of them, at its own length, and weights are there once.
"""

from collections.abc import Sequence

from tfcost.analysis import polynomial as poly
from tfcost.analysis.polynomial import Exact, Monomial, Polynomial
from tfcost.analysis.portions import Sizes
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
    own: Polynomial = {}
    shared: Polynomial = {}
    for monomial, coefficient in terms.items():
        if not _adds_up(monomial):
            return None
        belongs = poly.names({monomial: 1}) & (lengths | {"b"})
        (own if belongs else shared)[monomial] = coefficient
    of_each = poly.to_formula(own)
    total = sum(of_each.evaluate({**one, "b": 1}) for one in each)
    return total + poly.to_formula(shared).evaluate(each[0])


def _adds_up(monomial: Monomial) -> bool:
    """Whether the term is there once per sequence or once in all: b at most once, and not inside rounding."""
    inside = any("b" in poly.names({frozenset([(atom, 1)]): 1}) for atom, _ in monomial if not isinstance(atom, str))
    return not inside and dict(monomial).get("b", 0) in (0, 1)
