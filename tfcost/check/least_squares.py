"""Exact least squares: rows of numbers in, coefficients with 95 % confidence intervals out.

The normal equations are solved in fractions, so that counts without noise give coefficients without error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf, sqrt

# Student's t for a probability of 97.5 % and 1, 2, ... degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
STUDENT_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A fitted coefficient; the interval is `value` ± `margin` (inf: as many coefficients as rows)."""

    value: Fraction
    margin: float

    def contains(self, value: Fraction | int) -> bool:
        """Whether `value` lies in the interval."""
        return abs(float(self.value - value)) <= self.margin or self.value == value


def fit(rows: Sequence[Sequence[Fraction]], targets: Sequence[Fraction]) -> list[Coefficient] | None:
    """The coefficients c that make Σ (row·c - target)² least; None if the rows do not determine them."""
    count = len(rows[0])
    products = [[sum((row[i] * row[j] for row in rows), Fraction(0)) for j in range(count)] for i in range(count)]
    inverse = _inverse(products)
    if inverse is None:
        return None
    sums = [sum((row[i] * y for row, y in zip(rows, targets, strict=True)), Fraction(0)) for i in range(count)]
    values = [sum((a * b for a, b in zip(line, sums, strict=True)), Fraction(0)) for line in inverse]
    residuals = [
        y - sum((a * b for a, b in zip(row, values, strict=True)), Fraction(0))
        for row, y in zip(rows, targets, strict=True)
    ]
    freedom = len(rows) - count
    square = sum((residual**2 for residual in residuals), Fraction(0))
    return [Coefficient(value, _margin(square * inverse[place][place], freedom)) for place, value in enumerate(values)]


def _margin(square: Fraction, freedom: int) -> float:
    if freedom < 1:
        return inf
    return STUDENT_T[min(freedom, len(STUDENT_T)) - 1] * sqrt(square / freedom)


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]] | None:
    """Gauss-Jordan elimination; None for a singular matrix."""
    size = len(matrix)
    rows = [[*line, *(Fraction(i == j) for j in range(size))] for i, line in enumerate(matrix)]
    for column in range(size):
        pivot = next((i for i in range(column, size) if rows[i][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in range(size):
            if i != column and rows[i][column]:
                rows[i] = [a - rows[i][column] * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [line[size:] for line in rows]
