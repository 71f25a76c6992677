"""`tfcost explain TECHNIQUE`: from the line of code to the formula."""

from typing import Annotated

import typer

from tfcost.cli.completion import technique_names
from tfcost.cli.options import Destination, Question, with_shared_options
from tfcost.cli.output import publish


@with_shared_options
def explain(
    technique: Annotated[
        str, typer.Argument(metavar="TECHNIQUE", autocompletion=technique_names, help="See 'tfcost techniques'.")
    ],
    question: Question,
    destination: Destination,
) -> None:
    """Show every step of a technique from its code to its formula, and what the source document claims."""
    from tfcost.analysis.answer import answer
    from tfcost.analysis.claims import check_claims
    from tfcost.book import load_book
    from tfcost.cli.ask import common_scopes, queries, warn_about
    from tfcost.report.explain import explain_report

    book = load_book()
    scope = common_scopes([technique], question, book)[0]
    (query,) = queries([technique], question, book, scope)
    warn_about(query, book, list(question.options()), destination.quiet)
    record, claims = book.record(technique), check_claims(query, book)
    publish(explain_report(answer(query, book), record, claims, exact=destination.verbose), destination)
