"""`tfcost compare A B ...`: which technique, or which model, is cheaper, and from which length on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfcost.cli.completion import technique_names
from tfcost.cli.options import BatchOptions, Destination, Question, with_shared_options
from tfcost.cli.output import publish
from tfcost.errors import UserError

if TYPE_CHECKING:
    from tfcost.report.page import Report

_PLOT = typer.Option("--plot", metavar="FILE", help="Draw the sweep of --n 1k:1M: a .svg, .png or .pdf file.")


@with_shared_options
def compare(
    techniques: Annotated[
        list[str],
        typer.Argument(
            metavar="TECHNIQUE...", autocompletion=technique_names, help="Two or more; or two or more model files."
        ),
    ],
    *,
    plot: Annotated[Path | None, _PLOT] = None,
    question: Question,
    batch: BatchOptions,
    destination: Destination,
) -> None:
    """Compare techniques, or models: FLOPs, bytes, memory, predicted time, and where the cheaper one changes.

    With several lengths, --n 1k:1M (doubling) or --n 1k,4k,16k, a table and a plot along n. With --lengths, --cached or
    --prefill-chunk, one batch: exactly, and padded or at once.
    """
    names = list(dict.fromkeys(techniques))
    if plot is not None and not question.lengths():
        raise UserError("--plot needs several lengths, such as --n 1k:1M")
    files = _files(names)
    if batch.given:
        publish(_batch(names, files, question, batch, destination), destination)
        return
    if files:
        from tfcost.cli.models import compare_model_files

        publish(compare_model_files(files, question, destination, plot), destination)
        return
    if len(names) < 2:
        raise UserError("compare needs two different techniques; 'tfcost explain' shows a single one")
    if question.lengths():
        from tfcost.cli.swept import technique_sweep

        publish(technique_sweep(names, question, destination, plot), destination)
        return
    publish(_at_one_length(names, question, destination), destination)


def _batch(
    names: list[str], files: list[Path], question: Question, batch: BatchOptions, destination: Destination
) -> "Report":
    from tfcost.cli.batched import asked_batch, batch_of_techniques
    from tfcost.cli.batched_models import batch_of_models

    asked = asked_batch(batch, question)
    if files:
        return batch_of_models(files, asked, question, destination)
    return batch_of_techniques(names, asked, question, destination)


def _files(names: list[str]) -> list[Path]:
    """The `names` as model files, none if they are techniques. UserError for both, or for a single file."""
    files = [name for name in names if is_model_file(name)]
    if files and len(files) < len(names):
        technique = next(name for name in names if name not in files)
        raise UserError(f"compare takes techniques or model files, not both: '{technique}' and '{files[0]}'")
    if len(files) == 1:
        raise UserError(f"compare needs two different models; 'tfcost analyze {files[0]}' shows a single one")
    return list(map(Path, files))


def is_model_file(name: str) -> bool:
    """Whether an argument is a file: techniques have neither endings nor folders in their names."""
    return name.lower().endswith((".yaml", ".yml", ".json")) or "/" in name


def _at_one_length(techniques: list[str], question: Question, destination: Destination) -> "Report":
    from tfcost.analysis.devices import DEFAULT_DEVICE
    from tfcost.analysis.machines import load_machine
    from tfcost.analysis.side_by_side import side_by_side
    from tfcost.book import load_book
    from tfcost.cli.ask import queries_by_scope, warn_about
    from tfcost.report.compare import compare_report

    book = load_book()
    device = load_machine(question.device or DEFAULT_DEVICE)
    asked = queries_by_scope(techniques, question, book)
    everything = [query for same_scope in asked for query in same_scope]
    warn_about(everything, book, list(question.options()), destination.quiet)
    compared = [side_by_side(same_scope, book, device) for same_scope in asked]
    return compare_report(compared, device, exact=destination.verbose)
