"""Batches of whole models on the command line: files and --lengths, --cached or --prefill-chunk in; a report out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfcost.analysis.devices import DEFAULT_DEVICE
from tfcost.analysis.machines import load_machine
from tfcost.analysis.model import ModelCost, compose
from tfcost.analysis.roofline import predicted
from tfcost.analysis.whole import At, Whole, whole_model
from tfcost.book import Book, load_book
from tfcost.cli.ask import config_overrides, warn_inexact
from tfcost.cli.batched import batch_of, longest
from tfcost.cli.models import named_models
from tfcost.cli.options import Destination, Question
from tfcost.config.load import load_config
from tfcost.config.model import ModelConfig
from tfcost.errors import UserError
from tfcost.report.batches import Asked, Batched, BatchTold, batch_report
from tfcost.report.models import SCOPE, model_document, model_lines
from tfcost.report.page import Report

Composed = tuple[ModelConfig, ModelCost]

_DECIDED = {"lengths": ("n", "m", "b"), "cached": ("n", "m", "b"), "prefill-chunk": ("n", "m")}


def batch_of_models(
    paths: Sequence[Path], asked: Asked, question: Question, destination: Destination, command: str = "compare"
) -> Report:
    """What the batch costs with each of the models in `paths`. UserError where one has no formulas for it."""
    book, device = load_book(), load_machine(question.device or DEFAULT_DEVICE)
    whole = longest(asked, question)
    named = named_models(paths, question, book, destination.quiet)
    costs = {name: _first(asked, path, whole, book) for name, path in named.items()}
    for _, cost in costs.values():
        warn_inexact(cost, destination.quiet)
    for name, (config, _) in costs.items():
        if asked.in_chunks and config.encoder is not None:
            raise UserError(f"--prefill-chunk: {name} has an encoder, which reads everything at once")
    lengths = {name: cost.values["n"] for name, (_, cost) in costs.items()}
    batches = {
        name: batch_of(asked, _at(path, whole, book), lengths[name], book, device) for name, path in named.items()
    }
    n = _common_length(lengths) if asked.in_chunks else 0
    models = {name: cost for name, (_, cost) in costs.items()}
    configs = {name: config for name, (config, _) in costs.items()}

    def document() -> dict[str, Any]:
        times = {name: predicted(cost, device) for name, cost in models.items()}
        return model_document(models, times, configs) | {"command": command}

    lines = model_lines(models, configs, but=_DECIDED[asked.kind])
    told = BatchTold(command, list(named), lines, document)
    return batch_report(asked, n, [Batched(SCOPE, batches)], told, device)


def _common_length(lengths: Mapping[str, int]) -> int:
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise UserError(f"--prefill-chunk: prompts of different lengths ({told}); --n N sets one")
    return next(iter(lengths.values()))


def _first(asked: Asked, path: Path, question: Question, book: Book) -> Composed:
    """The padded batch, or the prompt at once; a size that is wrong came from the option of the batch."""
    try:
        return _composed(path, question, book)
    except UserError as error:
        text = str(error)
        for name in ("--n: ", "--m: ", "--b: "):
            if text.startswith(name) and not asked.in_chunks:
                raise UserError(f"--{asked.kind}: {text.removeprefix(name)}") from None
        raise


def _composed(path: Path, question: Question, book: Book, sizes: Mapping[str, int] | None = None) -> Composed:
    overrides = config_overrides(question) | {name: str(size) for name, size in (sizes or {}).items()}
    config = load_config(path, overrides, book.names)
    return config, compose(config, book, pass_=question.pass_ or "forward")


def _at(path: Path, question: Question, book: Book) -> At:
    def at(sizes: Mapping[str, int]) -> Whole:
        _, cost = _composed(path, question, book, sizes)
        return whole_model(cost)

    return at
