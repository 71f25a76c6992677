"""`tfcost`: the entry point and the options that stand before a command."""

from typing import Annotated

import typer

from tfcost.cli.group import CommandGroup

app = typer.Typer(
    cls=CommandGroup,
    help="What transformer techniques cost, as formulas derived from the code that runs.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 fine, 1 a check failed, 2 bad usage, configuration or file, 3 could not measure.",
)


def _version(asked: bool) -> None:
    if asked:
        from tfcost.cli.version import version_text

        typer.echo(version_text())
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show tfcost and what it finds installed."),
    ] = False,
) -> None:
    """Takes the options before the command."""


def main() -> None:
    """Runs the command line of this process."""
    app(prog_name="tfcost")
