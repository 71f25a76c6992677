"""Values as people read them: rounded to four digits, never to another order of magnitude."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcost.report.units import exact_number, grouped, human, percent


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, "FLOP", "0 FLOP"),
        (999, "FLOP", "999 FLOP"),
        (1000, "FLOP", "1 kFLOP"),
        (307_200_000_000, "FLOP", "307.2 GFLOP"),
        (1023, "B", "1023 B"),
        (1024, "B", "1 KiB"),
        (1536 * 1024**2, "B", "1.5 GiB"),
        (124_439_808, "1", "124.4 M"),
        (12, "1", "12"),
        (1.5e-3, "s", "1.5 ms"),
        (2, "s", "2 s"),
        (3.2e-5, "s", "32 µs"),
        (1e-12, "s", "0.001 ns"),
        (Fraction(1, 3), "FLOP", "0.3333 FLOP"),
        (10**40, "FLOP", "1E+10 QFLOP"),
    ],
)
def test_values_are_shown_with_a_prefix(value: int | float | Fraction, unit: str, shown: str) -> None:
    assert human(value, unit) == shown


_FACTORS = {prefix: 1000**power for power, prefix in enumerate(["", *"kMGTPEZYRQ"])}
_FACTORS |= {f"{prefix}i": 1024**power for power, prefix in enumerate("KMGTPEZY", start=1)}


@given(st.integers(min_value=0, max_value=10**60), st.sampled_from(["FLOP", "B"]))
def test_what_is_shown_is_the_value_to_four_digits(value: int, unit: str) -> None:
    match = re.fullmatch(rf"(\S+) ([A-Za-z]*?){unit}", human(value, unit))
    assert match
    shown = Fraction(match[1]) * _FACTORS[match[2]]
    assert abs(shown - value) <= Fraction(value, 1000)


def test_exact_values() -> None:
    assert grouped(124_439_808) == "124,439,808"
    assert exact_number(Fraction(6, 2)) == 3
    assert isinstance(exact_number(Fraction(6, 2)), int)
    assert exact_number(Fraction(1, 2)) == 0.5
    assert percent(Fraction(1, 3)) == "33.3 %"
