"""What a cost supposes of sizes ("64 divides c", "n > c"), held against given sizes. Statements about data pass."""

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from tfcost.cost import Cost
from tfcost.formula import Formula, FormulaError

Exact = int | Fraction
_RELATIONS: dict[str, Callable[[Exact, Exact], bool]] = {
    "divides": lambda a, b: b % a == 0,
    "does not divide": lambda a, b: b % a != 0,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "=": lambda a, b: a == b,
}
_STATEMENT = re.compile(rf"\s*(.+?) ({'|'.join(map(re.escape, _RELATIONS))}) (.+?)\s*$", re.ASCII)
_ODD = re.compile(r"\s*(\w+) is odd\s*$", re.ASCII)


def broken(cost: Cost, values: Mapping[str, int]) -> str:
    """The first supposition of `cost` that `values` do not meet, with the values; "" if they meet all."""
    for assumption in cost.assumptions:
        for text, holds, names in _statements(assumption, values):
            if not holds:
                shown = ", ".join(f"{name} = {values[name]}" for name in sorted(names))
                return f"it is derived for '{text.strip()}', here {shown}"
    return ""


def _statements(assumption: str, values: Mapping[str, int]) -> Iterator[tuple[str, bool, frozenset[str]]]:
    """The parts of an assumption that speak of known sizes, and whether they hold."""
    for part in re.split("[,;:]", assumption):
        if odd := _ODD.match(part):
            if odd[1] in values:
                yield part, values[odd[1]] % 2 == 1, frozenset({odd[1]})
        elif found := _STATEMENT.match(part):
            left, right = _formula(found[1]), _formula(found[3])
            if left is None or right is None or not left.symbols | right.symbols <= values.keys():
                continue
            holds = _RELATIONS[found[2]](left.evaluate(values), right.evaluate(values))
            yield part, holds, left.symbols | right.symbols


def _formula(text: str) -> Formula | None:
    """The formula that `text` is, if it is one and not prose."""
    try:
        return Formula(text)
    except FormulaError:
        return None
