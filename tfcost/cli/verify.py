"""`tfcost verify`: what was measured beside what is derived."""

from pathlib import Path
from typing import Annotated

import typer

from tfcost.cli.completion import technique_names
from tfcost.cli.options import Destination, with_shared_options
from tfcost.cli.output import publish, warn


@with_shared_options
def verify(
    evidence: Annotated[
        Path | None,
        typer.Argument(metavar="[EVIDENCE]", help="A file that 'tfcost measure' wrote; without one, tfcost's own."),
    ] = None,
    technique: Annotated[
        list[str] | None,
        typer.Option("--technique", metavar="NAME", autocompletion=technique_names, help="This technique only."),
    ] = None,
    cells: Annotated[bool, typer.Option("--cells", help="Every cell, not only those outside their tolerance.")] = False,
    claims: Annotated[
        bool, typer.Option("--claims", help="What was measured of the source document's statements.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Evidence of changed code, or without a formula, is a failure too.")
    ] = False,
    *,
    destination: Destination,
) -> None:
    """Compare measurements with the formulas, cell by cell; exit 1 if one is outside its tolerance."""
    from tfcost.book import load_book
    from tfcost.check.verify import all_points, check_names, load_evidence, verified
    from tfcost.report.verify import verify_report

    book = load_book()
    check_names(technique or [], book)
    files = load_evidence(evidence)
    if claims:
        from tfcost.check.claims import measured_claims
        from tfcost.report.measured_claims import measured_claims_report

        machines = [line for file in files for line in file.machines]
        publish(measured_claims_report(measured_claims(book, all_points(files, book)), machines), destination)
        return
    found = verified(files, book, technique or [])
    publish(verify_report(found, cells), destination)
    outdated = [f"{name}: {count} measurements are of other code than its formulas; run 'tfcost measure {name}'"
                for name, count in found.stale.items()]  # fmt: skip
    missing = [f"{one.case.key}: {one.reason}" for one in found.unmatched if one.outcome == "no formula"]
    for message in (*outdated, *missing):
        warn(message, destination.quiet)
    if any(cell.within is False for cell in found.cells) or (strict and (outdated or missing)):
        raise typer.Exit(1)
