"""`tfcost schema`: the JSON Schema of model configurations."""

from pathlib import Path
from typing import Annotated

import typer

from tfcost.cli.output import emit


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")] = None,
) -> None:
    """Write the JSON Schema of model configurations, for editors."""
    from tfcost.config.schema import schema_text

    emit(schema_text(), output)
