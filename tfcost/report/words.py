"""Words and cells that several reports share."""

from collections.abc import Iterable, Mapping

from tfcost.analysis.answer import Evaluated
from tfcost.analysis.query import Costed
from tfcost.analysis.theta import Theta
from tfcost.evidence.record import Case
from tfcost.report.page import Cell, Class
from tfcost.symbols import SYMBOLS


def options_text(answer: Costed) -> str:
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


def case_name(case: Case) -> str:
    """What ran, without its sizes: "flash core backward"."""
    return f"{case.technique} {case.scope} {case.pass_}"


def case_text(case: Case, technique: bool = True) -> str:
    """A case in one line: "layer backward, causal: true, n=513, h=12, bfloat16"."""
    options = [f"{name}: {str(value).lower()}" for name, value in sorted(case.variant.items())]
    name = case_name(case) if technique else f"{case.scope} {case.pass_}"
    return ", ".join([name, *options, sizes_line(case.sizes), case.dtype])


def percent(share: float, signed: bool = False) -> str:
    """A share of 1 in percent, with three digits: "0", "33.6 %", "+1160 %"."""
    if share == 0:
        return "0"
    figure = f"{100 * share:.0f}" if abs(share) >= 1 else f"{100 * share:.3g}"
    return f"{'+' if signed and share > 0 else ''}{figure} %"


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
