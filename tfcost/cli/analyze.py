"""`tfcost analyze CONFIG`: what a whole model costs, step by step."""

from pathlib import Path
from typing import Annotated

import typer

from tfcost.cli.options import BatchOptions, Destination, Question, with_shared_options
from tfcost.cli.output import note, publish
from tfcost.errors import UserError

CONFIG_HELP = "A YAML file ('tfcost schema' describes it), or the config.json of a model on Hugging Face."


@with_shared_options
def analyze(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help=CONFIG_HELP)],
    solve: Annotated[
        str | None,
        typer.Option("--solve", metavar="SYMBOL", help="The largest n, b or L (layers) that fits in --fit."),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option("--fit", metavar="MEMORY", help="80GiB, 40GB (the device's unless said): what would make it fit."),
    ] = None,
    *,
    question: Question,
    batch: BatchOptions,
    destination: Destination,
) -> None:
    """Break a model's cost down: per step, part and layer, parameters, memory, and whether n or d rules.

    With --lengths, --cached or --prefill-chunk, one batch: exactly, and padded or at once.
    """
    if batch.given:
        if solve is not None or fit is not None:
            raise UserError("--solve and --fit are not about batches")
        from tfcost.cli.batched import asked_batch
        from tfcost.cli.batched_models import batch_of_models

        asked = asked_batch(batch, question)
        publish(batch_of_models([config], asked, question, destination, command="analyze"), destination)
        return
    from tfcost.analysis.breakdown import break_down
    from tfcost.analysis.devices import DEFAULT_DEVICE
    from tfcost.analysis.machines import load_machine
    from tfcost.analysis.model import compose
    from tfcost.analysis.parallel import compose_parallel
    from tfcost.analysis.roofline import time_or_reason
    from tfcost.book import load_book
    from tfcost.cli.ask import config_overrides, warn_inexact
    from tfcost.config.load import load_model
    from tfcost.report.analyze import analyze_report

    book = load_book()
    device = load_machine(question.device or DEFAULT_DEVICE)
    loaded = load_model(config, config_overrides(question), book.names)
    for told in loaded.notes:
        note(f"{loaded.config.name}: {told}", destination.quiet)
    model_config = loaded.config
    if solve is not None or fit is not None:
        from tfcost.cli.fit import fit_report

        publish(fit_report(model_config, book, question.pass_ or "forward", device, solve, fit), destination)
        return
    cost = compose(model_config, book, pass_=question.pass_ or "forward")
    warn_inexact(cost, destination.quiet)
    split = None
    if model_config.parallelism and cost.pass_ == "train":
        split = compose_parallel(model_config, model_config.parallelism, book)
    elif model_config.parallelism:
        note(f"{model_config.name}: parallelism is told for --pass train", destination.quiet)
    time = time_or_reason(cost, device)
    report = analyze_report(break_down(cost), model_config, time, exact=destination.verbose, split=split)
    publish(report, destination)
