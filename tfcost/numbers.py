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
