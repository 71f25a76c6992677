"""`tfcost techniques`: what the book knows."""

from typing import Annotated

import typer

from tfcost.cli.options import Destination, with_shared_options
from tfcost.cli.output import publish


@with_shared_options
def techniques(
    claims: Annotated[
        bool,
        typer.Option("--claims", help="What the source document states of each, and what is derived and measured."),
    ] = False,
    *,
    destination: Destination,
) -> None:
    """List the techniques: implementation, scopes, passes and options of each."""
    from tfcost.book import load_book

    if claims:
        from tfcost.check.claims import measured_claims
        from tfcost.check.verify import all_points, load_evidence
        from tfcost.report.all_claims import claims_report

        book = load_book()
        measured = measured_claims(book, all_points(load_evidence(None, required=False), book))
        publish(claims_report(book, measured), destination)
    else:
        from tfcost.report.techniques import techniques_report

        publish(techniques_report(load_book()), destination)
