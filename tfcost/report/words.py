"""Words and cells that several reports share."""

from collections.abc import Iterable, Mapping

from tfcost.analysis.answer import Answer, Evaluated
from tfcost.analysis.theta import Theta
from tfcost.report.page import Cell, Class
from tfcost.symbols import SYMBOLS


def options_text(answer: Answer) -> str:
    """Implementation and options of an answer: "triton, causal: false"."""
    options = [f"{name}: {str(value).lower()}" for name, value in answer.query.options.items()]
    return ", ".join([answer.cost.implementation, *options])


def sizes_line(symbols: Mapping[str, int]) -> str:
    """The sizes, in the order of the one table: "n=10000, d=768"."""
    return ", ".join(f"{name}={symbols[name]}" for name in SYMBOLS if name in symbols and not _follows(name, symbols))


def _follows(name: str, symbols: Mapping[str, int]) -> bool:
    """Whether a size says nothing new: as many keys as queries, as many key/value heads as heads."""
    leader = {"m": "n", "h_kv": "h"}.get(name)
    return leader is not None and symbols.get(leader) == symbols[name]


def class_cell(theta: Theta | None) -> Cell:
    """The class, or "open" where no regime decides it."""
    return Class(theta.formula) if theta else "open"


def conditions(entries: Iterable[tuple[str, Evaluated]]) -> list[str]:
    """What the shown formulas and classes suppose, as notes: names that suppose the same are told together."""
    entries = list(entries)
    formulas = _grouped((name, entry.shown_under) for name, entry in entries)
    classes = _grouped((name, entry.theta.regime) for name, entry in entries if entry.theta)
    notes = [f"{names}: the formula shown supposes {what}" for what, names in formulas.items()]
    return notes + [f"{names}: the class supposes {what}" for what, names in classes.items() if what not in formulas]


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The names by what they suppose; those that suppose nothing are left out."""
    names: dict[str, list[str]] = {}
    for name, what in pairs:
        if what:
            names.setdefault(what, []).append(name)
    return {what: ", ".join(holders) for what, holders in names.items()}
