"""Conditions in assumptions: read, checked at sizes, told; and how far along n formulas apply."""

import re

import pytest

from tfcost.analysis.conditions import DoesNotApplyError, conditions, inexact, require, span
from tfcost.book import load_book

SIZES = {"n": 100, "m": 128, "c": 32, "k": 4, "E": 3, "b": 1, "h_kv": 3}


@pytest.mark.parametrize(
    ("assumption", "told"),
    [
        ("64 divides n", "n = 100 is not a multiple of 64"),
        ("c divides n", "n = 100 is not a multiple of c = 32"),
        ("E divides b*n*k: every expert gets b*n*k/E tokens", "b*n*k = 400 is not a multiple of E = 3"),
        ("k is odd", "k = 4 is not odd"),
    ],
)
def test_between_multiples_formulas_are_close(assumption: str, told: str) -> None:
    (reason,) = inexact([assumption], SIZES)
    assert reason.startswith(f"{told}: its formulas are exact at ")
    require([assumption], SIZES, "it")


@pytest.mark.parametrize(
    ("assumption", "told"),
    [
        ("n <= c", "n <= c does not hold at c = 32, n = 100"),
        ("k <= E", "k <= E does not hold at E = 3, k = 4"),
        ("m = n", "m = n does not hold at m = 128, n = 100"),
        ("n != 100, by which mine.py:4 decides", "n != 100 does not hold at n = 100"),
        ("c < n, n > 2*m: reasons", "n > 2*m does not hold at m = 128, n = 100"),
        ("n >= 101; for a reason", "n >= 101 does not hold at n = 100"),
        ("c*ceiling(n/c) < n", "c*ceiling(n/c) < n does not hold at c = 32, n = 100"),
    ],
)
def test_beyond_a_limit_formulas_mean_nothing(assumption: str, told: str) -> None:
    with pytest.raises(DoesNotApplyError) as error:
        require([assumption], SIZES, "it")
    assert str(error.value) == f"it: its formulas do not apply: {told}"
    assert inexact([assumption], SIZES) == []


def test_a_condition_can_say_what_is_the_case_otherwise() -> None:
    assumption = "n > m, else less memory is alive"
    require([assumption], SIZES, "it")
    assert inexact([assumption], SIZES) == ["n > m does not hold at m = 128, n = 100: less memory is alive"]
    assert inexact([assumption], {"n": 129, "m": 128}) == []


@pytest.mark.parametrize(
    "assumption",
    ["64 divides m", "c divides m", "k <= 4", "E is odd, u <= n", "h_kv divides h", "u divides n", "k >= u"],
)
def test_what_holds_or_cannot_be_known_is_silent(assumption: str) -> None:
    require([assumption], SIZES, "it")
    assert inexact([assumption], SIZES) == []
    assert conditions([assumption])


@pytest.mark.parametrize(
    "assumption",
    [
        "n is anything",
        "h_kv divides the heads",
        "both passes are those of a training step",
        "kernels/gather/backward.py:123: at most: the mask depends on tt.load at kernels/gather/backward.py:117",
        "n/c buckets, one per centroid",
        "c does not divide n: the last chunk is filled up",
    ],
)
def test_statements_are_no_conditions(assumption: str) -> None:
    assert conditions([assumption]) == []


def test_the_book_states_its_conditions_so_that_they_can_be_checked() -> None:
    book = load_book()
    assumptions = {text for name in book.names for cost in book.record(name).costs for text in cost.assumptions}
    stated = {text for text in assumptions if re.search(r" (divides|is odd|<=|>=|!=|<|>|=) ?", text)}
    assert len(stated) > 10
    assert [text for text in sorted(stated) if not conditions([text])] == []


def test_the_sizes_around_the_present_one_that_formulas_apply_to() -> None:
    assumptions = ("k <= m", "2*n < 7000", "64 divides n", "m = n", "c < n, else something")
    values = {"n": 100, "m": 100, "k": 65, "c": 2000}
    assert span(assumptions, values, ("n", "m"), 2**40) == (65, 3499)
    assert span((), values, ("n", "m"), 2**40) == (1, 2**40)
    assert span(("m = n",), values, ("n",), 2**40) == (100, 100)
