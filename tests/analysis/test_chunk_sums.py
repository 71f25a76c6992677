"""Sums over chunks in closed form, against the sum made chunk by chunk."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcost.analysis.chunk_sums import _power_sum, summed_over_chunks
from tfcost.analysis.polynomial import to_formula
from tfcost.formula import Formula


def brute(of_chunk: Callable[[int], Formula], length: int, count: int) -> object:
    values = {"b": 3, "n": length}
    return sum(of_chunk(t).evaluate({**values, "m": t * length}) for t in range(1, count + 1))


@given(st.integers(0, 6), st.integers(1, 60))
def test_powers_sum(power: int, count: int) -> None:
    assert to_formula(_power_sum(power)).evaluate({"t": count}) == sum(t**power for t in range(1, count + 1))


@pytest.mark.parametrize(
    "text",
    [
        "b*n*m",
        "7*b*n*m**2 + 3*n + m",
        "128*b*ceiling(n/64)*ceiling(m/128)",
        "b*Min(n, m)*m",
        "b*Max(m - 3*n, 0)",
        "b*Max(m - 2*n, n) + floor(m/64 - n/64 + 1/64)*n",
    ],
)
@given(length=st.sampled_from([64, 128, 192, 2048]), count=st.integers(1, 12))
def test_a_closed_form_is_the_sum(text: str, length: int, count: int) -> None:
    """Also where Min and Max decide otherwise in the first chunks, and for lengths that are tiles of one side only."""
    found = summed_over_chunks(lambda t: Formula(text), length)
    if length % 128 == 0:
        assert found is not None
    if found is not None and (count >= 3 or ", n >=" not in found.under):
        assert found.formula.evaluate({"b": 3, "n": count * length}) == brute(lambda t: Formula(text), length, count)


def test_the_first_chunk_may_have_a_formula_of_its_own() -> None:
    def of_chunk(t: int) -> Formula:
        return Formula("b*n*m" if t > 1 else "5*b*n")

    found = summed_over_chunks(of_chunk, 10)
    assert found is not None
    assert found.under == "n a multiple of 10"
    for count in (1, 2, 7):
        assert found.formula.evaluate({"b": 3, "n": 10 * count}) == brute(of_chunk, 10, count)


def test_what_holds_from_a_later_chunk_on_says_so() -> None:
    found = summed_over_chunks(lambda t: Formula("b*Max(m - 3*n, 0)"), 64)
    assert found is not None
    assert found.under == "n a multiple of 64, n >= 128"


@pytest.mark.parametrize("text", ["ceiling(m/100)", "b*floor(m/96)*n"])
def test_what_stays_rounded_has_none(text: str) -> None:
    assert summed_over_chunks(lambda t: Formula(text), 64) is None
