"""Text to exact whole number: `10000`, `1e4`, `16k`, `1M`, the same on the command line and in YAML files."""

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
