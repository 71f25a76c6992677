"""How a report shows what memory is for: the categories of the highest moment, and the caches of keys and values."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tfcost.analysis.answer import Evaluated
from tfcost.analysis.breakdown import Breakdown, CacheView
from tfcost.analysis.model.cache import PAGE
from tfcost.analysis.model.memory import CATEGORIES
from tfcost.report.page import Amount, Cell, Table
from tfcost.report.units import exact_number, percent

_COLUMNS = ("memory", "value", "share", "formula")
_CACHE_COLUMNS = ("cache of", "layers", "one layer", "all", f"in pages of {PAGE}", "formula of one")
NAMES = {"state": "optimizer state", "cache": "key/value cache", "data": "tokens and tables"}
"""Categories whose key is not what a report calls them."""


def memory_tables(model: Breakdown, exact: bool) -> list[Table]:
    """The categories, which add up to the peak; the caches, if there are any."""
    rows = [_row(name, one, model.memory_total, exact) for name, one in model.memory.items()]
    rows.append(("peak memory", Amount(model.memory_total, "B"), "100 %", ""))
    notes = [f"{NAMES.get(name, name)}: {CATEGORIES[name]}" for name in model.memory]
    tables = [Table(f"memory where it is highest: {model.cost.peak_moment}", _COLUMNS, tuple(rows), tuple(notes))]
    return [*tables, _cache_table(model, exact)] if model.caches else tables


def _row(name: str, one: Evaluated, whole: int | Fraction, exact: bool) -> tuple[Cell, ...]:
    share = percent(Fraction(one.value) / whole) if whole else ""
    return NAMES.get(name, name), Amount(one.value, "B"), share, one.exact if exact else one.formula


def _cache_table(model: Breakdown, exact: bool) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            one.part,
            str(one.count),
            Amount(one.each.value, "B"),
            Amount(one.all, "B"),
            Amount(one.all_paged, "B"),
            one.each.exact if exact else one.each.formula,
        )
        for one in model.caches
    ]
    whole, paged = (sum(getattr(one, name) for one in model.caches) for name in ("all", "all_paged"))
    rows.append(("model", "", "", Amount(whole, "B"), Amount(paged, "B"), ""))
    return Table("keys and values of earlier tokens", _CACHE_COLUMNS, tuple(rows))


def memory_document(model: Breakdown) -> dict[str, Any]:
    """The keys of a model's result about what its memory is for."""
    categories = {
        name: {"formula": one.formula.text, "exact": one.exact.text, "value": exact_number(one.value)}
        for name, one in model.memory.items()
    }
    found: dict[str, Any] = {"memory": {"moment": model.cost.peak_moment, "categories": categories}}
    return found | ({"caches": [_cache(one) for one in model.caches]} if model.caches else {})


def _cache(one: CacheView) -> Mapping[str, Any]:
    return {
        "part": one.part,
        "count": int(one.count),
        "formula": one.each.formula.text,
        "bytes_per_layer": exact_number(one.each.value),
        "bytes": exact_number(one.all),
        "page_tokens": PAGE,
        "paged_formula": one.paged.formula.text,
        "paged_bytes": exact_number(one.all_paged),
    }
