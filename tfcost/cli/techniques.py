"""`tfcost techniques`: what the book knows."""

from tfcost.cli.options import Destination, with_shared_options
from tfcost.cli.output import publish


@with_shared_options
def techniques(destination: Destination) -> None:
    """List the techniques: implementation, scopes, passes and options of each."""
    from tfcost.book import load_book
    from tfcost.report.techniques import techniques_report

    publish(techniques_report(load_book()), destination)
