"""Numbers as people write them: exact whatever their size, refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcost.errors import UserError
from tfcost.numbers import parse_bytes, parse_count


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
