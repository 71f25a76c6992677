"""Words and cells that several reports share."""

from collections.abc import Mapping

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
    return ", ".join(f"{name}={symbols[name]}" for name in SYMBOLS if name in symbols)


def class_cell(theta: Theta | None) -> Cell:
    """The class, or "open" where no regime decides it."""
    return Class(theta.formula) if theta else "open"


def condition(name: str, entry: Evaluated) -> list[str]:
    """What the shown formula supposes, if anything, as a note about `name`."""
    return [f"{name}: the formula shown holds for {entry.shown_under}"] if entry.shown_under else []
