"""Exact interpolation for sizes that will not stay symbolic (a Python loop over a size, an expert count).

The code is traced at several values of such a size; every coefficient of the result is then a polynomial in it with
rational coefficients, solved from the first samples and confirmed on the held-out rest. No fit, no rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import product

import sympy as sp

from tfcost.derive.errors import DerivationError
from tfcost.derive.sizes import size_symbol

# Samples per size: a polynomial of degree 3 takes four, and two more must agree with it.
DEGREE = 3
HOLD_OUT = 2
FIRST_SAMPLE = 2


def sample_points(names: Sequence[str], degree: int = DEGREE) -> list[dict[str, int]]:
    """The values at which to trace: the full grid of degree + 1 + hold-out values in each size."""
    values = range(FIRST_SAMPLE, FIRST_SAMPLE + degree + 1 + HOLD_OUT)
    return [dict(zip(names, point, strict=True)) for point in product(values, repeat=len(names))]


def interpolate(names: Sequence[str], samples: Mapping[tuple[int, ...], sp.Expr]) -> sp.Expr:
    """The expression that takes the values of `samples` (keyed by the sizes' values, in the order of `names`).

    Raises `DerivationError` if a held-out sample disagrees: the cost is then no polynomial of degree `DEGREE`.
    """
    if not names:
        return samples[()]
    name, *rest = names
    inner: dict[int, dict[tuple[int, ...], sp.Expr]] = {}
    for (value, *others), expression in samples.items():
        inner.setdefault(value, {})[tuple(others)] = expression
    along = {value: interpolate(rest, group) for value, group in inner.items()}
    return _along_one(name, along)


def _along_one(name: str, samples: Mapping[int, sp.Expr]) -> sp.Expr:
    coefficients = {value: sp.expand(expression).as_coefficients_dict() for value, expression in samples.items()}
    values = sorted(samples)
    total = sp.Integer(0)
    for monomial in set().union(*coefficients.values()):
        points = {value: Fraction(int(c.p), int(c.q)) for value in values for c in [coefficients[value][monomial]]}
        total += monomial * _polynomial(name, points, values[: len(values) - HOLD_OUT])
    return sp.expand(total)


def _polynomial(name: str, points: Mapping[int, Fraction], used: Sequence[int]) -> sp.Expr:
    """Newton's divided differences through the `used` points; the others must lie on the result."""
    differences = [points[value] for value in used]
    for order in range(1, len(used)):
        for position in range(len(used) - 1, order - 1, -1):
            span = used[position] - used[position - order]
            differences[position] = (differences[position] - differences[position - 1]) / span

    def evaluate(at: int) -> Fraction:
        total = Fraction(0)
        for value, difference in zip(reversed(used), reversed(differences), strict=True):
            total = total * (at - value) + difference
        return total

    for value, wanted in points.items():
        if evaluate(value) != wanted:
            raise DerivationError(
                f"the cost is no polynomial of degree {len(used) - 1} in {name}: at {name} = {value} it is {wanted} "
                f"times a term; through {name} = {', '.join(map(str, used))} it would be {evaluate(value)} times"
            )
    symbol, result = size_symbol(name), sp.Integer(0)
    for value, difference in zip(reversed(used), reversed(differences), strict=True):
        result = sp.expand(result * (symbol - value)) + sp.Rational(difference.numerator, difference.denominator)
    return result


def interpolate_sets(
    names: Sequence[str], samples: Mapping[tuple[int, ...], tuple[sp.Expr, ...]]
) -> tuple[sp.Expr, ...]:
    """The same for sets of candidates (peak memory): those of one sample are matched to another's by their monomials,
    and among equals by size. Raises `DerivationError` if the sets do not match.
    """
    groups: dict[frozenset[sp.Expr], dict[tuple[int, ...], list[sp.Expr]]] = {}
    for point, candidates in samples.items():
        for candidate in candidates:
            key = frozenset(sp.expand(candidate).as_coefficients_dict())
            groups.setdefault(key, {}).setdefault(point, []).append(candidate)
    found = []
    for members in groups.values():
        counts = {len(members.get(point, ())) for point in samples}
        if len(counts) != 1:
            raise DerivationError(f"peak memory has different candidates at different values of {', '.join(names)}")
        ordered = {point: sorted(group, key=_weight) for point, group in members.items()}
        for position in range(counts.pop()):
            found.append(interpolate(names, {point: group[position] for point, group in ordered.items()}))
    return tuple(found)


def _weight(expression: sp.Expr) -> list[int]:
    return [int(count) for _, count in sorted(expression.as_coefficients_dict().items(), key=lambda item: str(item[0]))]


def over_samples(
    names: Sequence[str], trace_at: Callable[[Mapping[str, int]], Mapping[str, tuple[sp.Expr, ...]]]
) -> dict[str, tuple[sp.Expr, ...]]:
    """Interpolates every named set of expressions that `trace_at(values)` returns."""
    traced = {tuple(point.values()): trace_at(point) for point in sample_points(names)}
    keys = set().union(*traced.values())
    return {key: interpolate_sets(names, {point: found.get(key, (sp.Integer(0),)) for point, found in traced.items()})
            for key in keys}  # fmt: skip
