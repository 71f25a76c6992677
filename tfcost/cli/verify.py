"""`tfcost verify`: what was measured beside what is derived."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfcost.cli.completion import technique_names
from tfcost.cli.options import Destination, with_shared_options
from tfcost.cli.output import emit, publish, warn
from tfcost.errors import UserError

if TYPE_CHECKING:
    from tfcost.book import Book
    from tfcost.check.sweeps import Point
    from tfcost.report.page import Report


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
    summary: Annotated[bool, typer.Option("--summary", help="The totals by quantity alone.")] = False,
    claims: Annotated[
        bool, typer.Option("--claims", help="What was measured of the source document's statements.")
    ] = False,
    growth: Annotated[
        bool, typer.Option("--growth", help="Coefficients fitted along sweeps beside the derived ones.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FOLDER", help="Draw measured points over derived curves there.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Evidence of changed code, or without a formula, is a failure too.")
    ] = False,
    *,
    destination: Destination,
) -> None:
    """Compare measurements with the formulas, cell by cell; exit 1 if one is outside its tolerance."""
    from tfcost.book import load_book
    from tfcost.check.cells import IMPOSSIBLE
    from tfcost.check.verify import all_points, check_names, load_evidence, verified
    from tfcost.report.verify import verify_report

    if sum((cells, summary, claims, growth, plot is not None)) > 1:
        raise UserError("--cells, --summary, --claims, --growth and --plot: ask for one at a time")
    book = load_book()
    check_names(technique or [], book)
    files = load_evidence(evidence)
    machines = [line for file in files for line in file.machines]
    if claims:
        publish(_claims(book, all_points(files, book), technique or [], machines), destination)
        return
    if growth:
        publish(_growth(all_points(files, book, technique or []), machines), destination)
        return
    if plot is not None:
        from tfcost.report.plots import write_plots

        written = write_plots(all_points(files, book, technique or []), plot)
        emit("".join(f"{path}\n" for path in written), destination.output)
        return
    found = verified(files, book, technique or [])
    publish(verify_report(found, "cells" if cells else "totals" if summary else "techniques"), destination)
    outdated = [f"{name}: {count} measurements are of other code than its formulas; run 'tfcost measure {name}'"
                for name, count in found.stale.items()]  # fmt: skip
    missing, refused = ([f"{one.case.key}: {one.reason}" for one in found.unmatched if one.outcome == outcome]
                        for outcome in ("no formula", IMPOSSIBLE))  # fmt: skip
    for message in (*outdated, *missing):
        warn(message, destination.quiet)
    for message in refused:
        typer.echo(f"error: {message}", err=True)
    if any(cell.within is False for cell in found.cells) or refused or (strict and (outdated or missing)):
        raise typer.Exit(1)


def _claims(book: "Book", points: "list[Point]", techniques: list[str], machines: list[str]) -> "Report":
    from tfcost.check.claims import measured_claims
    from tfcost.report.measured_claims import measured_claims_report

    return measured_claims_report(measured_claims(book, points, techniques), machines)


def _growth(points: "list[Point]", machines: list[str]) -> "Report":
    from tfcost.check.cells import TIME
    from tfcost.check.growth import all_growth, slopes
    from tfcost.check.sweeps import sweeps
    from tfcost.report.growth import growth_report

    found = list(sweeps(points))
    times = [slope for sweep in found for slope in slopes(sweep, TIME)]
    return growth_report(list(all_growth(found)), times, machines)
