"""Exact interpolation for sizes that will not stay symbolic (a Python loop over a size, an expert count).

The code is traced at several values of such a size; its cost is then a polynomial in it with rational coefficients,
solved from the first samples and confirmed on the held-out rest. No fit, no rounding.
"""

from collections.abc import Mapping, Sequence
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
        return sp.expand(samples[()])
    name, *rest = names
    inner: dict[int, dict[tuple[int, ...], sp.Expr]] = {}
    for (value, *others), expression in samples.items():
        inner.setdefault(value, {})[tuple(others)] = expression
    along = {value: interpolate(rest, group) for value, group in inner.items()}
    values = sorted(along)
    found = polynomial(name, {value: along[value] for value in values[:-HOLD_OUT]})
    if any(at(found, name, value) != along[value] for value in values[-HOLD_OUT:]):
        degree = len(values) - HOLD_OUT - 1
        raise DerivationError(
            f"the cost is no polynomial of degree {degree} in {name}, as traces at {name} = {values[0]} to "
            f"{values[-1]} show; give it a value: --dim {name}=N"
        )
    return found


def polynomial(name: str, points: Mapping[int, sp.Expr]) -> sp.Expr:
    """The polynomial in the size `name` through `points`, of the least degree, by Newton's divided differences."""
    values = list(points)
    differences = [sp.expand(points[value]) for value in values]
    for order in range(1, len(values)):
        for place in range(len(values) - 1, order - 1, -1):
            span = values[place] - values[place - order]
            differences[place] = sp.expand((differences[place] - differences[place - 1]) / span)
    symbol, result = size_symbol(name), sp.Integer(0)
    for value, difference in zip(reversed(values), reversed(differences), strict=True):
        result = sp.expand(result * (symbol - value) + difference)
    return result


def at(expression: sp.Expr, name: str, value: int) -> sp.Expr:
    """The expression where the size `name` is `value`."""
    return sp.expand(expression.xreplace({size_symbol(name): sp.Integer(value)}))
