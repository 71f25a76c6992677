"""Text to exact whole number, the same on the command line and in YAML files: counts (`10000`, `1e4`, `16k`, `1M`) and
amounts of memory (`80GiB`, `40GB`).
"""

import re
from decimal import Decimal

from tfcost.errors import UserError

TOKEN_COUNTS = frozenset({"n", "m", "w", "g", "c", "t"})
"""Symbols that count tokens: their k is 1024 and their M 1024**2, as in "a 16k context"; elsewhere 1000 and 1000**2."""

NUMBER_PATTERN = r"^[0-9][0-9_]*(\.[0-9]+)?([eE]\+?[0-9]{1,3})?[kM]?$"
_NUMBER = re.compile(NUMBER_PATTERN, re.ASCII)
_LARGEST = 10**100


def parse_count(text: str, symbol: str = "", least: int = 1) -> int:
    """The whole number that `text` writes, for the `symbol` it is a value of. UserError if it is none or < `least`."""
    if not _NUMBER.fullmatch(text) or len(text) > 120:
        raise UserError(f"'{text[:40]}' is not a whole number of at least {least} (write 10000, 1e4, 16k or 1M)")
    unit = 1024 if symbol in TOKEN_COUNTS else 1000
    scale = {"k": unit, "M": unit**2}.get(text[-1], 1)
    value = Decimal(text.rstrip("kM").replace("_", ""))
    if value > _LARGEST:
        raise UserError(f"'{text[:40]}' is larger than 10^100")
    numerator, denominator = value.as_integer_ratio()
    whole, rest = divmod(numerator * scale, denominator)
    if rest:
        raise UserError(f"'{text}' is not a whole number")
    if whole < least:
        raise UserError(f"{text} is less than {least}")
    return whole


MOST_PLACES = 64
"""The most sizes that a sweep may have."""


def is_sweep(text: str) -> bool:
    """Whether `text` writes several sizes: `1k:1M` or `1k,4k,16k`."""
    return ":" in text or "," in text


def parse_sweep(text: str, symbol: str = "") -> tuple[int, ...]:
    """The sizes that `text` writes, in ascending order: a list `1k,4k,16k` of sizes and of ranges `1k:1M`, which double
    from their first size and end with their last. UserError for a wrong range, a single size, or too many.
    """
    found: set[int] = set()
    for part in text.split(","):
        found |= set(_range(part, symbol)) if ":" in part else {parse_count(part, symbol)}
    if len(found) == 1:
        raise UserError(f"'{text[:40]}' is a single size; write {text.split(',')[0].split(':')[0]}")
    if len(found) > MOST_PLACES:
        raise UserError(f"'{text[:40]}' has {len(found)} sizes, of at most {MOST_PLACES}")
    return tuple(sorted(found))


def _range(text: str, symbol: str) -> list[int]:
    ends = text.split(":")
    if len(ends) != 2 or not all(ends):
        raise UserError(f"'{text[:40]}' is not a range; write FROM:TO, as in 1k:1M")
    low, high = (parse_count(end, symbol) for end in ends)
    if low > high:
        raise UserError(f"'{text[:40]}' goes down; write {ends[1]}:{ends[0]}")
    places = [low]
    while places[-1] < high:
        places.append(min(2 * places[-1], high))
    return places


_BYTES: dict[str, int] = {"B": 1} | {
    f"{letter}{kind}B": int(base**power)
    for power, letter in enumerate("KMGTP", start=1)
    for kind, base in (("", 1000), ("i", 1024))
}
_AMOUNT = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,2})?) ?([A-Za-z]+)?", re.ASCII)


def parse_bytes(text: str) -> int:
    """The bytes that `text` writes: `80GiB` (1024**3 each), `80GB` (1000**3 each), `512MiB`, `1e9B`; a fraction of a
    byte is dropped. UserError if it is not an amount of memory, or not at least one byte.
    """
    found = _AMOUNT.fullmatch(text.strip()) if len(text) <= 60 else None
    if found is None:
        raise UserError(f"'{text[:40]}' is not an amount of memory (write 80GiB or 80GB)")
    number, unit = found.groups()
    units = {name.lower(): scale for name, scale in _BYTES.items()}
    if unit is None or unit.lower() not in units:
        raise UserError(f"'{text}' has no unit of memory: {_meant(number, unit)}")
    numerator, denominator = Decimal(number.replace("_", "")).as_integer_ratio()
    value = numerator * units[unit.lower()] // denominator
    if not 1 <= value <= _LARGEST:
        raise UserError(f"'{text}' is not at least 1 byte and at most 10^100")
    return value


def _meant(number: str, unit: str | None) -> str:
    """What was probably meant by a number with that unit, or none."""
    letter = (unit or "G")[0].upper()
    if letter not in "KMGTP" or (unit is not None and unit.lower() not in (letter.lower(), f"{letter}i".lower())):
        return "the units are B, KB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB (powers of 1024)"
    return f"write {number}{letter}iB (powers of 1024) or {number}{letter}B (powers of 1000)"
