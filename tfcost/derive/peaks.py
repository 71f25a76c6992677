"""Peak memory at several values of a size, as one set of candidates that are polynomials in it.

Peak memory is the largest of a set of expressions, and which of them can be the largest differs from value to value.
Each candidate at the last value is continued through candidates at the values before. All polynomials together must
then give, at every value from some one on, exactly the candidates that were seen there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb

import sympy as sp

from tfcost.derive.errors import DerivationError
from tfcost.derive.interpolate import HOLD_OUT, at, polynomial
from tfcost.derive.memory import undominated

Candidates = tuple[sp.Expr, ...]
DEGREE = 2


@dataclass(frozen=True, slots=True)
class Peaks:
    """The candidates, and for each size the value from which on they were confirmed."""

    candidates: Candidates
    holds_from: Mapping[str, int]


def interpolate_peaks(names: Sequence[str], samples: Mapping[tuple[int, ...], Candidates]) -> Peaks:
    """The candidates for the peak as polynomials in the sizes `names`; `samples` is keyed by their values in order,
    which are consecutive. Raises `DerivationError` if there are none of degree `DEGREE` or less.
    """
    if not names:
        return Peaks(undominated(samples[()]), {})
    name, *rest = names
    inner: dict[int, dict[tuple[int, ...], Candidates]] = {}
    for (value, *others), candidates in samples.items():
        inner.setdefault(value, {})[tuple(others)] = candidates
    found = {value: interpolate_peaks(rest, group) for value, group in inner.items()}
    along = {value: found[value].candidates for value in sorted(found)}
    curves = [_continued(name, last, along) for last in along[max(along)]]
    holds_from = {other: max(peaks.holds_from[other] for peaks in found.values()) for other in rest}
    return Peaks(tuple(curve for _, curve in curves), {name: _confirmed_from(name, curves, along), **holds_from})


def _continued(name: str, last: sp.Expr, along: Mapping[int, Candidates]) -> tuple[int, sp.Expr]:
    """The polynomial of least degree from `last` back through candidates, and that degree; among equals the one that
    meets the most of them.
    """
    for degree in range(DEGREE + 1):
        curves = list(_curves(name, last, along, degree))
        if curves:
            return degree, max(curves, key=lambda curve: _met(name, curve, along))
    raise _no_polynomials(name, along)


def _curves(name: str, last: sp.Expr, along: Mapping[int, Candidates], degree: int) -> Iterator[sp.Expr]:
    """Polynomials through `last` and a candidate at each of the `degree` values before it, and one value further."""
    first, *used = list(along)[-degree - 2 :]
    confirming = set(along[first])
    for path in product(*(along[value] for value in used[:-1]), (last,)):
        # Over consecutive values, a polynomial's differences of order degree + 1 vanish.
        signs = ((-1) ** place * comb(degree + 1, place + 1) for place in range(degree + 1))
        if sp.Add(*(sign * expression for sign, expression in zip(signs, path, strict=True))) in confirming:
            yield polynomial(name, dict(zip(used, path, strict=True)))


def _met(name: str, curve: sp.Expr, along: Mapping[int, Candidates]) -> int:
    return sum(at(curve, name, value) in candidates for value, candidates in along.items())


def _confirmed_from(name: str, curves: Sequence[tuple[int, sp.Expr]], along: Mapping[int, Candidates]) -> int:
    """The least value from which on the curves give what was seen; as many values must confirm as for a sum."""
    confirmed: list[int] = []
    for value in sorted(along, reverse=True):
        given = undominated(at(curve, name, value) for _, curve in curves)
        if set(given) != set(undominated(along[value])):
            break
        confirmed.append(value)
    if len(confirmed) < max((degree for degree, _ in curves), default=0) + 1 + HOLD_OUT:
        raise _no_polynomials(name, along)
    return confirmed[-1]


def _no_polynomials(name: str, along: Mapping[int, Candidates]) -> DerivationError:
    values = list(along)
    return DerivationError(
        f"peak memory follows no polynomials in {name}, as traces at {name} = {values[0]} to {values[-1]} show; "
        f"give it a value: --dim {name}=N"
    )
