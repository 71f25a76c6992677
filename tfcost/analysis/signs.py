"""The sign of a polynomial at every integer of a range: coefficients in, runs of constant sign out; exact.

Between two sign changes of its forward difference p(x + 1) - p(x) a polynomial is monotone on the integers, so
bisection finds its own sign changes there; the difference has one degree less.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import comb, lcm

Runs = list[tuple[int, int]]
"""(start, sign): the sign from `start` up to the next start; neighbours differ."""


def polynomial_signs(coefficients: Sequence[int | Fraction], low: int, high: int) -> Runs:
    """The runs of sign of sum(coefficients[k] * x**k) over the integers `low` ... `high`."""
    scale = lcm(*(coefficient.denominator for coefficient in coefficients))
    return _signs([int(coefficient * scale) for coefficient in coefficients], low, high)


def merged(runs: Runs) -> Runs:
    """`runs` without starts at which the sign stays the same."""
    kept: Runs = []
    for start, sign in runs:
        if not kept or kept[-1][1] != sign:
            kept.append((start, sign))
    return kept


def _signs(coefficients: list[int], low: int, high: int) -> Runs:
    while len(coefficients) > 1 and coefficients[-1] == 0:
        coefficients = coefficients[:-1]
    if len(coefficients) == 1 or low == high:
        return [(low, _sign(coefficients, low))]
    starts = [start for start, _ in _signs(_difference(coefficients), low, high - 1)]
    runs: Runs = []
    for start, end in zip(starts, [*starts[1:], high], strict=True):
        runs += _monotone(coefficients, start, end)
    return merged(runs)


def _monotone(coefficients: list[int], start: int, end: int) -> Runs:
    """The runs over `start` ... `end`, where the polynomial only rises or only falls."""
    last = _sign(coefficients, end)
    runs = [(start, _sign(coefficients, start))]
    while runs[-1][1] != last:
        low, sign = runs[-1]
        high = end
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _sign(coefficients, middle) == sign else (low, middle)
        runs.append((high, _sign(coefficients, high)))
    return runs


def _difference(coefficients: list[int]) -> list[int]:
    degree = len(coefficients) - 1
    return [sum(coefficients[k] * comb(k, j) for k in range(j + 1, degree + 1)) for j in range(degree)]


def _sign(coefficients: list[int], x: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return (value > 0) - (value < 0)
