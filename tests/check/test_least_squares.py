"""Exact least squares against numpy's, and the table of Student's t against its density."""

from fractions import Fraction
from math import gamma, inf, pi, sqrt

import numpy as np
import pytest

from tfcost.check.least_squares import STUDENT_T, fit


def rows(*lines: tuple[int, ...]) -> list[list[Fraction]]:
    return [[Fraction(value) for value in line] for line in lines]


def test_coefficients_and_their_errors_are_numpys() -> None:
    generator = np.random.default_rng(0)
    design = generator.integers(1, 50, (9, 3))
    targets = design @ np.array([3, -2, 7]) + generator.integers(-5, 5, 9)
    found = fit(rows(*(tuple(map(int, line)) for line in design)), [Fraction(int(y)) for y in targets])
    assert found is not None
    expected, residual, *_ = np.linalg.lstsq(design.astype(float), targets.astype(float), rcond=None)
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * residual[0] / 6)
    assert [float(one.value) for one in found] == pytest.approx(expected)
    assert [one.margin for one in found] == pytest.approx(2.447 * errors)


def test_counts_without_noise_have_no_error() -> None:
    sizes = (1, 2, 3, 10**6)
    found = fit(rows(*((n**2, n) for n in sizes)), [Fraction(3 * n**2 + n, 7) for n in sizes])
    assert found is not None
    assert [(one.value, one.margin) for one in found] == [(Fraction(3, 7), 0), (Fraction(1, 7), 0)]
    assert found[0].contains(Fraction(3, 7))
    assert not found[0].contains(Fraction(3, 7) + Fraction(1, 10**9))


def test_too_few_rows_leave_the_error_open() -> None:
    found = fit(rows((1, 1), (4, 2)), [Fraction(1), Fraction(2)])
    assert found is not None
    assert [one.margin for one in found] == [inf, inf]


def test_columns_that_depend_on_each_other_have_no_fit() -> None:
    assert fit(rows((1, 2), (2, 4), (3, 6)), [Fraction(1)] * 3) is None


def within(t: float, freedom: int) -> float:
    """The probability that Student's t is between -t and t, by Simpson's rule on its density."""
    scale = gamma((freedom + 1) / 2) / (sqrt(freedom * pi) * gamma(freedom / 2))
    steps = 20_000
    width = t / steps
    density = [scale * (1 + (i * width) ** 2 / freedom) ** (-(freedom + 1) / 2) for i in range(steps + 1)]
    return 2 * width / 3 * (density[0] + 4 * sum(density[1::2]) + 2 * sum(density[2:-1:2]) + density[-1])


@pytest.mark.parametrize("freedom", range(1, len(STUDENT_T) + 1))
def test_the_table_is_students(freedom: int) -> None:
    assert within(STUDENT_T[freedom - 1], freedom) == pytest.approx(0.95, abs=1e-4)
