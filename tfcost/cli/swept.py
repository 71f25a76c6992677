"""`compare` along n: the lengths of --n 1k:1M in; a report with a table per quantity, and a plot in a file, out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfcost.analysis.answer import answer
from tfcost.analysis.devices import DEFAULT_DEVICE
from tfcost.analysis.machines import load_machine
from tfcost.analysis.meetings import Contender
from tfcost.analysis.predict import Machine
from tfcost.analysis.query import Found, Query, fill_sizes
from tfcost.analysis.side_by_side import COMPARED, contender
from tfcost.analysis.sweep import Sweep, sweep
from tfcost.book import Book, load_book
from tfcost.cli.ask import queries_by_scope, warn_about
from tfcost.cli.options import Destination, Question
from tfcost.errors import UserError
from tfcost.report.document import answer_document, header, used_symbols
from tfcost.report.page import Report
from tfcost.report.sweep import Told, plots, sweep_report
from tfcost.report.sweep_plot import check_plot_path, write_plot
from tfcost.report.words import options_text, sizes_line


def technique_sweep(techniques: list[str], question: Question, destination: Destination, plot: Path | None) -> Report:
    """The comparison of `techniques` at all lengths asked for; with `plot`, also drawn into that file.

    UserError for a wrong question, for lengths none of which a technique's formulas apply to, and for a file that
    cannot be drawn into.
    """
    book, device = load_book(), load_machine(question.device or DEFAULT_DEVICE)
    places = question.lengths()
    if plot is not None:
        check_plot_path(plot)
    asked = _asked(techniques, question, book)
    warn_about([query for same_scope in asked for query in same_scope], book, list(question.options()),
               destination.quiet)  # fmt: skip
    sweeps = [_sweep(same_scope, question, book, device) for same_scope in asked]
    if plot is not None:
        draw(sweeps[0], device, plot, " vs ".join(techniques))
    found = [Found(query, query.cost(book)) for same_scope in asked for query in same_scope]
    symbols = used_symbols(found)
    along = {name: size for name, size in symbols.items() if name not in ("n", "m") or name == "m" in question.sizes}
    first = asked[0][0]
    lines = (
        f"{first.pass_}, {first.dtype}, n from {places[0]} to {places[-1]}, {sizes_line(along)}",
        *dict.fromkeys(f"{one.query.technique}: {options_text(one)}" for one in found),
    )

    def document() -> dict[str, Any]:
        results = [answer_document(answer(one.query, book)) for one in found]
        return header("compare", first.dtype, symbols) | {"results": results}

    return sweep_report(sweeps, Told(" vs ".join(techniques), lines, document), device)


def draw(one: Sweep, device: Machine, path: Path, title: str) -> None:
    """The plots of a sweep into the file `path`."""
    write_plot(plots(one, device), path, title)


def _asked(techniques: list[str], question: Question, book: Book) -> list[list[Query]]:
    """The queries by scope at the longest length to which all formulas apply."""
    for place in reversed(question.lengths()):
        try:
            return queries_by_scope(techniques, question.at(place), book)
        except UserError as error:
            problem = error
    raise problem


def _sweep(queries: Sequence[Query], question: Question, book: Book, device: Machine) -> Sweep:
    makers = {query.technique: _maker(query, question, book, device) for query in queries}
    return sweep(queries[0].scope, makers, question.lengths(), COMPARED)


def _maker(query: Query, question: Question, book: Book, device: Machine) -> Callable[[int], Contender]:
    def make(n: int) -> Contender:
        values = fill_sizes(question.at(n).values(), book.record(query.technique).defaults)
        there = replace(query, values=values)
        return contender(there, there.cost(book), device)

    return make
