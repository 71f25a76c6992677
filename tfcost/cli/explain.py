"""`tfcost explain TECHNIQUE`: from the line of code to the formula."""

from typing import TYPE_CHECKING, Annotated

import typer

from tfcost.cli.completion import technique_names
from tfcost.cli.options import Destination, Question, with_shared_options
from tfcost.cli.output import publish

if TYPE_CHECKING:
    from tfcost.book import Book
    from tfcost.report.page import Report


@with_shared_options
def explain(
    technique: Annotated[
        str, typer.Argument(metavar="TECHNIQUE", autocompletion=technique_names, help="See 'tfcost techniques'.")
    ],
    question: Question,
    destination: Destination,
) -> None:
    """Show every step of a technique from its code to its formula, and what the source document claims."""
    from tfcost.book import load_book

    book = load_book()
    scopes = {cost.scope for cost in book.record(technique).costs}
    asked_part = question.scope is not None or any(text.startswith("part=") for text in question.option)
    if scopes == {"part"} and not asked_part:
        publish(_model(book, technique, question, destination), destination)
    else:
        publish(_technique(book, technique, question, destination), destination)


def _technique(book: "Book", technique: str, question: Question, destination: Destination) -> "Report":
    from tfcost.analysis.answer import answer
    from tfcost.analysis.claims import check_claims
    from tfcost.analysis.query import default_scope
    from tfcost.cli.ask import common_scopes, queries, warn_about
    from tfcost.report.explain import explain_report

    asked = question.scope is not None
    scope = common_scopes([technique], question, book)[0] if asked else default_scope(book.record(technique))
    (query,) = queries([technique], question, book, scope)
    warn_about([query], book, list(question.options()), destination.quiet)
    record, claims = book.record(technique), check_claims(query, book)
    return explain_report(answer(query, book), record, claims, exact=destination.verbose)


def _model(book: "Book", technique: str, question: Question, destination: Destination) -> "Report":
    """A technique that is a chain of parts: the plain model of the asked sizes, layers alone."""
    from tfcost.analysis.breakdown import break_down
    from tfcost.analysis.claims import check_model_claims
    from tfcost.analysis.devices import DEFAULT_DEVICE
    from tfcost.analysis.machines import load_machine
    from tfcost.analysis.model import compose
    from tfcost.analysis.query import fill_sizes
    from tfcost.analysis.roofline import time_or_reason
    from tfcost.cli.ask import config_overrides, warn_inexact
    from tfcost.config.load import make_config
    from tfcost.report.analyze import analyze_report

    record, given = book.record(technique), config_overrides(question)
    sizes = fill_sizes(question.values())
    layers = {name: sizes[name] for name in ("n", "b", "d", "h", "L")}
    config = make_config({"name": record.title, **layers, **given}, book.names)
    cost = compose(config, book, pass_=question.pass_ or "forward")
    warn_inexact(cost, destination.quiet)
    claims = check_model_claims(record.claims, cost)
    time = time_or_reason(cost, load_machine(question.device or DEFAULT_DEVICE))
    return analyze_report(break_down(cost), config, time, (record, claims), exact=destination.verbose)
