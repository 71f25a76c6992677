"""A question about one technique: which variant, and a number for every symbol.

In: what the user gave, as numbers and option texts. Out: a `Query` with every default filled in.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

from tfcost.analysis.conditions import require
from tfcost.book import SITUATIONS, Book, Option, TechniqueRecord
from tfcost.book.record import OptionValue
from tfcost.cost import Cost
from tfcost.errors import UserError, nearest
from tfcost.symbols import SYMBOLS

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""Short names of dtypes."""

DEFAULT_SIZES = {"n": 4096, "h": 12, "d_h": 64, "b": 1, "L": 12, "V": 50257}


@dataclass(frozen=True, slots=True)
class Query:
    """A technique, its scope, pass, dtype and options, and a value for every symbol."""

    technique: str
    scope: str
    pass_: str
    dtype: str
    options: Mapping[str, OptionValue]
    values: Mapping[str, int]

    def cost(self, book: Book) -> Cost:
        """The cost in `book` that answers this. UserError with what there is instead, or if it means nothing here."""
        cost = book.find(
            self.technique,
            scope=self.scope,
            pass_=self.pass_,
            dtype=self.dtype,
            variant=self.options,
            values=self.values,
        )
        require(cost.assumptions, self.values, self.technique)
        return cost


class Costed(Protocol):
    """A query with the cost that answers it."""

    @property
    def query(self) -> Query:
        """What is asked."""

    @property
    def cost(self) -> Cost:
        """What the book has for it."""


class Found(NamedTuple):
    """A query with its cost, nothing evaluated yet."""

    query: Query
    cost: Cost


def full_dtype(name: str) -> str:
    """The full name of a dtype given in short or in full."""
    return DTYPES.get(name, name)


def fill_sizes(given: Mapping[str, int], defaults: Mapping[str, int] | None = None) -> dict[str, int]:
    """A value for every symbol: those `given`, the `defaults` of a technique, and what follows from both.

    Of d = h*d_h, what is not given follows from what is (h from its default before d_h); given all three, they may
    differ from it, as they do in some models. UserError if one does not follow in whole numbers.
    """
    values = DEFAULT_SIZES | dict(defaults or {}) | dict(given)
    values["h"], values["d"], values["d_h"] = _widths(given)
    values.setdefault("m", values["n"])
    values.setdefault("h_kv", values["h"])
    values.setdefault("f", 4 * values["d"])
    if values["h"] % values["h_kv"]:
        raise UserError(f"h = {values['h']} is not divisible by h_kv = {values['h_kv']}")
    return values


class _Widths(NamedTuple):
    h: int
    d: int
    d_h: int


def _widths(given: Mapping[str, int]) -> _Widths:
    h, d, d_h = (given.get(name) for name in ("h", "d", "d_h"))
    if d is None:
        h, d_h = h or DEFAULT_SIZES["h"], d_h or DEFAULT_SIZES["d_h"]
        return _Widths(h, h * d_h, d_h)
    if d_h is None:
        h = h or DEFAULT_SIZES["h"]
        if d % h:
            raise UserError(f"d = {d} is not divisible by h = {h}; give --h or --d-h")
        return _Widths(h, d, d // h)
    if h is None and d % d_h:
        raise UserError(f"d = {d} is not divisible by d_h = {d_h}; give --h as well")
    return _Widths(h or d // d_h, d, d_h)


def default_scope(record: TechniqueRecord) -> str:
    """The scope that a technique is first derived at."""
    return record.costs[0].scope


def default_pass(record: TechniqueRecord, scope: str) -> str:
    """The forward pass, or the first that a technique has at `scope` (a decode step)."""
    passes = dict.fromkeys(cost.pass_ for cost in record.costs if cost.scope == scope)
    return "forward" if "forward" in passes or not passes else next(iter(passes))


def offered_options(record: TechniqueRecord, scope: str) -> dict[str, Option]:
    """The options of a technique at `scope`: those it declares, and what else tells its costs there apart (a block's
    norm, a transformer's part), with the plainest value as the default.
    """
    offered = dict(record.options)
    seen: dict[str, dict[OptionValue, None]] = {}
    for cost in record.costs:
        if cost.scope == scope:
            for name in cost.variant.keys() - offered.keys() - SITUATIONS:
                seen.setdefault(name, {})[cast(OptionValue, cost.variant[name])] = None
    for name, values in sorted(seen.items()):
        plain = next((value for value in (False, "none") if value in values), next(iter(values)))
        offered[name] = Option(tuple(values), plain, "")
    return offered


def choose_options(offered: Mapping[str, Option], texts: Mapping[str, str], technique: str) -> dict[str, OptionValue]:
    """The defaults of the `offered` options, replaced by those of `texts` that are among them. UserError for a wrong
    value.
    """
    chosen = {name: option.default for name, option in offered.items()}
    for name, text in texts.items():
        if name in offered:
            written = {str(value).lower(): value for value in offered[name].values}
            if text.lower() not in written:
                raise UserError(f"{technique}: {name} = '{text}'{nearest(text, written)}")
            chosen[name] = written[text.lower()]
    return chosen


def check_used(given: Collection[str], texts: Collection[str], queries: Sequence[Query], book: Book) -> None:
    """UserError if a size or an option (by name) was given that none of the `queries` uses."""
    costs = [query.cost(book) for query in queries]
    used = {name for cost in costs for name in (*cost.symbols, *cost.fixed)}
    if used & {"h", "d_h", "d", "f"}:
        used |= {"h", "d_h", "d"}
    if "m" in used:
        used |= {"n"}
    names = " and ".join(query.technique for query in queries)
    for name in given:
        if name not in used:
            known = ", ".join(symbol for symbol in SYMBOLS if symbol in used)
            raise UserError(f"{SYMBOLS[name].option} is not used by {names}; used there: {known}")
    options = {name for query in queries for name in query.options}
    for name in texts:
        if name not in options:
            raise UserError(f"{names}: no option '{name}'{nearest(name, options) or '; there are none'}")
