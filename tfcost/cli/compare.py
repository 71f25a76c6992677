"""`tfcost compare A B ...`: which technique is cheaper, and from which length on."""

from typing import Annotated

import typer

from tfcost.cli.completion import technique_names
from tfcost.cli.options import Destination, Question, with_shared_options
from tfcost.cli.output import publish
from tfcost.errors import UserError


@with_shared_options
def compare(
    techniques: Annotated[
        list[str], typer.Argument(metavar="TECHNIQUE...", autocompletion=technique_names, help="Two or more.")
    ],
    question: Question,
    destination: Destination,
) -> None:
    """Compare techniques: FLOPs, bytes, memory, predicted time, classes, and where the cheaper one changes."""
    from tfcost.analysis.devices import DEFAULT_DEVICE
    from tfcost.analysis.machines import load_machine
    from tfcost.analysis.side_by_side import side_by_side
    from tfcost.book import load_book
    from tfcost.cli.ask import queries_by_scope, warn_about
    from tfcost.report.compare import compare_report

    if len(set(techniques)) < 2:
        raise UserError("compare needs two different techniques; 'tfcost explain' shows a single one")
    book = load_book()
    device = load_machine(question.device or DEFAULT_DEVICE)
    asked = queries_by_scope(list(dict.fromkeys(techniques)), question, book)
    everything = [query for same_scope in asked for query in same_scope]
    warn_about(everything, book, list(question.options()), destination.quiet)
    compared = [side_by_side(same_scope, book, device) for same_scope in asked]
    publish(compare_report(compared, device, exact=destination.verbose), destination)
