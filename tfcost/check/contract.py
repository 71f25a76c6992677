"""One line of a contract as text in; what it promises out, with a caret under whatever cannot be read.

    contract = [pass] quantity ":" formula                      its class is at most that of the formula
             | [pass] quantity "<=" bound ["at" sizes] ["where" conditions]   its value is at most the bound
    bound    = formula | number unit                                   2 GiB, 300 GFLOP
    sizes    = name "=" count {"," name "=" count}                     n=16k, b=1
    conditions = divisor "divides" name {"," ...}                      128 divides n
The quantities are those of `tfcost.quantities`, and `time` (all arithmetic) and `memory` (peak) in a class. Without a
pass (forward, backward, decode) it holds in every pass of the target.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tfcost.errors import UserError, nearest
from tfcost.formula import Formula, FormulaError
from tfcost.formula.parse import parse
from tfcost.numbers import parse_count
from tfcost.quantities import QUANTITIES

SUMS: dict[str, tuple[str, ...]] = {"time": ("matmul_flops", "scalar_flops"), "memory": ("peak_bytes",)}
"""What the words of a class stand for."""

PASSES = ("forward", "backward", "decode")

_UNITS: dict[str, tuple[str, int]] = {
    **{f"{prefix}B": ("B", 1000**power) for power, prefix in enumerate(("", "k", "M", "G", "T"))},
    **{f"{prefix}iB": ("B", 1024**power) for power, prefix in enumerate(("K", "M", "G", "T"), start=1)},
    **{f"{prefix}FLOP": ("FLOP", 1000**power) for power, prefix in enumerate(("", "k", "M", "G", "T", "P"))},
}
_OPERATOR = re.compile(r"<=|:|[<>=]+")
_CLAUSE = re.compile(r"\b(at|where)\b")
_AMOUNT = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", re.ASCII)
_CONDITION = re.compile(r"\s*([A-Za-z_0-9]+)\s+divides\s+([A-Za-z_]\w*)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Contract:
    """What `quantity` may cost: at most the class of `formula`, or (`is_bound`) at most its value; at the sizes `at`,
    or at all sizes where each of `where` (divisor, symbol) holds; in `pass_` ("": in each). The formula stands at
    `offset` in `text`.
    """

    text: str
    quantity: str
    is_bound: bool
    formula: Formula
    offset: int
    at: Mapping[str, int]
    pass_: str = ""
    where: tuple[tuple[str, str], ...] = ()

    def check_symbols(self, known: Collection[str]) -> None:
        """UserError, with a caret, for a symbol that is none of `known`."""
        places = ((found[0], found.start()) for found in re.finditer(r"[A-Za-z_]\w*", self.text[self.offset :]))
        named = {*self.formula.symbols, *self.at, *(name for pair in self.where for name in pair if not name.isdigit())}
        for name, place in places:
            if name in named and name not in known:
                raise _error(self.text, self.offset + place, f"unknown symbol '{name}'{nearest(name, known)}")


def parse_contract(text: str) -> Contract:
    """The contract that `text` writes. FormulaError (a UserError), with a caret, for anything else."""
    operator = _OPERATOR.search(text)
    if operator is None or operator[0] not in ("<=", ":"):
        place = operator.start() if operator else len(text.rstrip())
        raise _error(text, place, "expected ':' and a class, or '<=' and a bound")
    is_bound = operator[0] == "<="
    pass_, quantity = _subject(text, text[: operator.start()], is_bound)
    clauses = list(_CLAUSE.finditer(text, operator.end())) if is_bound else []
    end = clauses[0].start() if clauses else len(text)
    at: dict[str, int] = {}
    where: list[tuple[str, str]] = []
    for place, clause in enumerate(clauses):
        stop = clauses[place + 1].start() if place + 1 < len(clauses) else len(text)
        if clause[0] == "at":
            at |= _sizes(text, clause.end(), stop)
        else:
            where += _conditions(text, clause.end(), stop)
    formula = _bound(text, operator.end(), end, quantity) if is_bound else _formula(text, operator.end(), end)
    return Contract(text, quantity, is_bound, formula, operator.end(), at, pass_, tuple(where))


def _subject(text: str, before: str, is_bound: bool) -> tuple[str, str]:
    """The pass ("": any) and the quantity that a contract speaks of."""
    words = before.split()
    pass_ = words[0] if len(words) > 1 and words[0] in PASSES else ""
    start = before.index(pass_) + len(pass_) if pass_ else 0
    start += len(before[start:]) - len(before[start:].lstrip())
    quantity = before[start:].strip()
    if is_bound and quantity in SUMS:
        names = " or ".join(SUMS[quantity])
        raise _error(text, start, f"'{quantity}' has a class only ({quantity}: n*d); a bound is on {names}")
    if quantity not in QUANTITIES and (is_bound or quantity not in SUMS):
        known = QUANTITIES if is_bound else [*SUMS, *QUANTITIES]
        raise _error(text, start, f"no quantity is called '{quantity}'{nearest(quantity, known)}")
    return pass_, quantity


def _formula(text: str, start: int, end: int) -> Formula:
    if not text[start:end].strip():
        raise _error(text, len(text[:end].rstrip()), "the formula is missing")
    # Parsed in its place, so that a mistake is told at its place in the whole contract.
    try:
        return Formula.of_tree(parse(" " * start + text[start:end]))
    except FormulaError as error:
        if error.position is None:
            raise
        raise _error(text, error.position, error.reason) from None


def _bound(text: str, start: int, end: int, quantity: str) -> Formula:
    amount = _AMOUNT.fullmatch(text, start, end)
    if amount is None:
        return _formula(text, start, end)
    number, unit = amount.groups()
    if unit not in _UNITS:
        written = {name.lower(): name for name in _UNITS}.get(unit.lower(), unit)
        raise _error(text, amount.start(2), f"unknown unit '{unit}'{nearest(written, _UNITS)}")
    kind, scale = _UNITS[unit]
    if kind != QUANTITIES[quantity].unit:
        raise _error(text, amount.start(2), f"{quantity} is counted in {QUANTITIES[quantity].unit}, not {kind}")
    return Formula.of(Fraction(number.replace("_", "")) * scale)


def _sizes(text: str, start: int, end: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, part in _parts(text, start, end):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name.isidentifier():
            raise _error(text, place, "expected NAME=VALUE, as in n=16k")
        if name in found:
            raise _error(text, place, f"'{name}' is given twice")
        try:
            found[name] = parse_count(value, name)
        except UserError as error:
            raise _error(text, place, f"{name}: {error}") from None
    return found


def _conditions(text: str, start: int, end: int) -> list[tuple[str, str]]:
    found = []
    for place, part in _parts(text, start, end):
        condition = _CONDITION.fullmatch(part)
        if condition is None or condition[1] == "0":
            raise _error(text, place, "expected a condition such as '128 divides n'")
        found.append((condition[1], condition[2]))
    return found


def _parts(text: str, start: int, end: int) -> list[tuple[int, str]]:
    """The parts between commas, each with the place of its first character that is no blank."""
    found, place = [], start
    for part in text[start:end].split(","):
        found.append((place + len(part) - len(part.lstrip()), part))
        place += len(part) + 1
    return found


def _error(text: str, position: int, message: str) -> FormulaError:
    return FormulaError.at(text, position, message, "contract")
