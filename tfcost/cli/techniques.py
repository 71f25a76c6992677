"""`tfcost techniques`: what the book knows."""

from typing import Annotated

import typer

from tfcost.cli.options import Destination, with_shared_options
from tfcost.cli.output import publish


@with_shared_options
def techniques(
    claims: Annotated[
        bool, typer.Option("--claims", help="What the source document states of each, and what is derived.")
    ] = False,
    *,
    destination: Destination,
) -> None:
    """List the techniques: implementation, scopes, passes and options of each."""
    from tfcost.book import load_book

    if claims:
        from tfcost.report.all_claims import claims_report

        publish(claims_report(load_book()), destination)
    else:
        from tfcost.report.techniques import techniques_report

        publish(techniques_report(load_book()), destination)
