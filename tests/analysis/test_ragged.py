"""Peaks of ragged batches: what belongs to a sequence once for each, weights once, at the highest moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcost.analysis.ragged import ragged
from tfcost.formula import Formula

COMMON = {"d": 3, "b": 7}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_sequences_count_once_each_and_weights_once_in_all(lengths: list[int]) -> None:
    each = [{"d": 3, "b": len(lengths), "n": n} for n in lengths]
    found = ragged(Formula("Max(b*n*d + 2*b*n**2 + n**2 + 5*b + 8*d**2, 9*b*n*d)"), each)
    moments = (sum(n * 3 + 2 * n**2 + n**2 + 5 for n in lengths) + 8 * 9, sum(9 * n * 3 for n in lengths))
    assert found == max(moments)


@given(st.integers(1, 50), st.integers(1, 6))
def test_equal_sequences_are_the_batch_itself(n: int, count: int) -> None:
    formula = Formula("Max(b*n*d + 2*b*n**2 + 8*d**2, 9*b*n*d)")
    assert ragged(formula, [{**COMMON, "n": n, "b": count}] * count) == formula.evaluate({**COMMON, "n": n, "b": count})


def test_caches_are_as_long_as_they_are() -> None:
    each = [{**COMMON, "b": 2, "m": m} for m in (10, 200)]
    assert ragged(Formula("2*b*d*Min(m, 100) + 128*b*ceiling(m/128)"), each) == 2 * 3 * 110 + 128 * 3


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 9))
def test_what_is_largest_inside_a_sum_is_chosen_for_the_whole_batch(lengths: list[int], width: int) -> None:
    each = [{"n": n, "b": len(lengths), "d": width, "L": 4} for n in lengths]
    found = ragged(Formula("d**2 + L*Max(b*n**2, 20*b*n*d + d) + b*n"), each)
    longest = max(sum(n**2 for n in lengths), sum(20 * n * width for n in lengths) + width)
    assert found == width**2 + 4 * longest + sum(lengths)


def test_tiles_of_all_tokens_are_those_of_a_batch_of_as_many() -> None:
    """As an expert's: it takes tokens of any sequence."""
    each = [{"b": 2, "n": n, "m": n, "d": 3} for n in (100, 200)]
    assert ragged(Formula("128*ceiling(b*n/128)*d + ceiling(b/64)"), each) == 128 * 3 * 3 + 1


@pytest.mark.parametrize("text", ["b**2*n", "ceiling(b*m/128)", "d - Max(b*n**2, d)"])
def test_what_is_no_sum_over_sequences_has_none(text: str) -> None:
    assert ragged(Formula(text), [{**COMMON, "n": n, "m": n} for n in (3, 5)]) is None
