"""Exact values to what a person reads: SI prefixes for FLOPs and counts, binary ones for bytes, seconds to ns."""

from decimal import Context, Decimal
from fractions import Fraction

Value = int | float | Fraction

_SI = ("", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SECONDS = (("s", Fraction(1)), ("ms", Fraction(1, 1000)), ("µs", Fraction(1, 10**6)), ("ns", Fraction(1, 10**9)))
_DIGITS = Context(prec=4)


def human(value: Value, unit: str) -> str:
    """Four significant digits with a prefix: "307.2 GFLOP", "1.431 GiB", "12.5 ms"; beyond the prefixes "3.1E+45 B"."""
    if unit == "s":
        return _seconds(Fraction(value))
    base, prefixes = (1024, _BINARY) if unit == "B" else (1000, _SI)
    name = "" if unit == "1" else unit
    index = 0
    while abs(value) >= base ** (index + 1) and index + 1 < len(prefixes):
        index += 1
    return f"{_digits(Fraction(value) / base**index)} {prefixes[index]}{name}".rstrip()


def grouped(value: Value) -> str:
    """The exact value with its digits in groups of three: 124,439,808; a fraction as a decimal number."""
    return f"{exact_number(value):,}"


def exact_number(value: Value) -> int | float:
    """An int where the value is whole, else a float: what JSON and CSV hold."""
    if isinstance(value, float):
        return value
    return value.numerator if value.denominator == 1 else float(value)


def percent(share: Fraction) -> str:
    """A share of a whole: "41.2 %"."""
    return f"{float(100 * share):.1f} %"


def _digits(value: Fraction) -> str:
    """Four significant digits; whole numbers below 1024 in full."""
    rounded = _DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(_DIGITS)
    return f"{rounded:f}" if -4 < rounded.adjusted() < 6 else f"{rounded:E}"


def _seconds(value: Fraction) -> str:
    unit, size = next((pair for pair in _SECONDS if abs(value) >= pair[1]), _SECONDS[-1])
    return f"{_digits(value / size)} {unit}"
