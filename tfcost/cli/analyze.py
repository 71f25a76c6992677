"""`tfcost analyze CONFIG`: what a whole model costs, step by step."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfcost.cli.options import Destination, Question, with_shared_options
from tfcost.cli.output import publish
from tfcost.errors import UserError

_FIELDS = ("n", "b", "d", "h", "h_kv", "d_h", "L", "f", "c", "V")


@with_shared_options
def analyze(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file; 'tfcost schema' describes it.")],
    question: Question,
    destination: Destination,
) -> None:
    """Break a model's cost down: per step, part and layer, parameters, memory, and whether n or d rules."""
    from tfcost.analysis.breakdown import break_down, predict_model
    from tfcost.analysis.devices import load_device
    from tfcost.analysis.model import compose
    from tfcost.book import load_book
    from tfcost.cli.ask import DEFAULT_DEVICE
    from tfcost.config.load import load_config
    from tfcost.report.analyze import analyze_report

    book = load_book()
    device = load_device(question.device or DEFAULT_DEVICE)
    model_config = load_config(config, _overrides(question), book.names)
    cost = compose(model_config, book, pass_=question.pass_ or "forward")
    report = analyze_report(break_down(cost), model_config, predict_model(cost, device), exact=destination.verbose)
    publish(report, destination)


def _overrides(question: Question) -> dict[str, Any]:
    """The fields of the configuration that the command line replaces. UserError for an option that is none."""
    from tfcost.analysis.query import full_dtype
    from tfcost.symbols import SYMBOLS

    if question.scope is not None:
        raise UserError("--scope is not used by analyze, which shows steps, parts, layer and model")
    for name in question.sizes:
        if name not in _FIELDS:
            raise UserError(f"{SYMBOLS[name].option} is not used by analyze; used there: {', '.join(_FIELDS)}")
    options = question.options()
    overrides: dict[str, Any] = dict(question.sizes)
    if question.causal is not None:
        overrides["causal"] = question.causal
    if question.dtype is not None:
        overrides["dtype"] = full_dtype(question.dtype)
    options.pop("causal", None)
    if options:
        overrides["attention_options"] = options
    return overrides
