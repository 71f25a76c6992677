"""Numbers as people write them: exact whatever their size, refused with a reason."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcost.errors import UserError
from tfcost.numbers import MOST_PLACES, is_sweep, parse_bytes, parse_count, parse_sweep


@pytest.mark.parametrize(
    ("text", "symbol", "value"),
    [
        ("10000", "n", 10_000),
        ("10_000", "n", 10_000),
        ("1e4", "n", 10_000),
        ("1.5e3", "n", 1500),
        ("16k", "n", 16 * 1024),
        ("16k", "d", 16_000),
        ("1M", "m", 1024 * 1024),
        ("1M", "V", 1_000_000),
        ("1.5k", "w", 1536),
        ("1e30", "n", 10**30),
        ("1000000000000000000000000000001", "n", 10**30 + 1),
    ],
)
def test_what_is_written_is_what_is_meant(text: str, symbol: str, value: int) -> None:
    assert parse_count(text, symbol) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0", "less than 1"),
        ("-5", "not a whole number"),
        ("1.5", "not a whole number"),
        ("nan", "not a whole number"),
        ("inf", "not a whole number"),
        ("", "not a whole number"),
        ("k", "not a whole number"),
        ("1e-3", "not a whole number"),
        ("0x10", "not a whole number"),
        ("1e999", "larger than"),
        ("9" * 5000, "not a whole number"),
        ("١٢", "not a whole number"),
        ("1\n", "not a whole number"),
    ],
)
def test_what_is_no_count_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        parse_count(text, "n")


@given(st.integers(min_value=1, max_value=10**60))
def test_every_whole_number_is_exact(value: int) -> None:
    assert parse_count(str(value)) == value


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("1k:8k", (1024, 2048, 4096, 8192)),
        ("1000:5000", (1000, 2000, 4000, 5000)),
        ("3:4", (3, 4)),
        ("1k,4k,16k", (1024, 4096, 16384)),
        ("4k,1k", (1024, 4096)),
        ("100,1k:2k,1500", (100, 1024, 1500, 2048)),
    ],
)
def test_a_sweep_is_a_list_or_doubles_up_to_its_end(text: str, places: tuple[int, ...]) -> None:
    assert is_sweep(text)
    assert parse_sweep(text, "n") == places


@given(st.integers(1, 10**6), st.integers(2, 10**4))
def test_a_range_has_both_ends_and_no_gap_over_two(low: int, factor: int) -> None:
    places = parse_sweep(f"{low}:{low * factor}")
    assert (places[0], places[-1]) == (low, low * factor)
    assert all(first < second <= 2 * first for first, second in pairwise(places))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1M:1k", "'1M:1k' goes down; write 1k:1M"),
        ("1k:", "'1k:' is not a range; write FROM:TO, as in 1k:1M"),
        (":", "is not a range"),
        ("1k:2k:4k", "is not a range"),
        ("1k,", "'' is not a whole number of at least 1"),
        ("1k,,2k", "'' is not a whole number"),
        ("0:1k", "0 is less than 1"),
        ("-1:1k", "'-1' is not a whole number"),
        ("1k:nan", "'nan' is not a whole number"),
        ("1k:1k", "'1k:1k' is a single size; write 1k"),
        ("1k,1024", "is a single size; write 1k"),
        ("1:1e30", f"has 101 sizes, of at most {MOST_PLACES}"),
        ("1k:1e101", "larger than 10^100"),
    ],
)
def test_a_wrong_sweep_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=re.escape(reason)):
        parse_sweep(text, "n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80GiB", 80 * 2**30),
        ("40GB", 40 * 10**9),
        ("1.5 TiB", 3 * 2**39),
        ("512mib", 2**29),
        ("1e9B", 10**9),
        ("0.0000000001GB", None),
        ("79.2GiB", 792 * 2**30 // 10),
    ],
)
def test_amounts_of_memory(text: str, value: int | None) -> None:
    if value is None:
        with pytest.raises(UserError, match="at least 1 byte"):
            parse_bytes(text)
    else:
        assert parse_bytes(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("80G", r"write 80GiB \(powers of 1024\) or 80GB"),
        ("80", "write 80GiB"),
        ("80gi", "write 80GiB"),
        ("80XB", "the units are B, KB, MB"),
        ("80Gbit", "the units are"),
        ("0GB", "at least 1 byte"),
        ("-1GB", "not an amount of memory"),
        ("", "not an amount of memory"),
        ("GiB", "not an amount of memory"),
        ("1e-3GB", "not an amount of memory"),
        ("infGB", "not an amount of memory"),
        ("9" * 5000 + "GB", "not an amount of memory"),
        ("١GB", "not an amount of memory"),
    ],
)
def test_what_is_no_amount_of_memory_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        parse_bytes(text)


@given(st.integers(min_value=1, max_value=10**40), st.sampled_from([("KiB", 2**10), ("GB", 10**9), ("TiB", 2**40)]))
def test_whole_amounts_are_exact(number: int, unit: tuple[str, int]) -> None:
    assert parse_bytes(f"{number}{unit[0]}") == number * unit[1]
