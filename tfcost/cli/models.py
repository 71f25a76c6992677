"""`compare` of model files: paths and options in; a report of whole models side by side, or along n, out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfcost.analysis.devices import DEFAULT_DEVICE
from tfcost.analysis.machines import load_machine
from tfcost.analysis.meetings import Contender
from tfcost.analysis.model import ModelCost, compose
from tfcost.analysis.models import MODEL_QUANTITIES, WITHOUT_LENGTH, compare_models, model_contender
from tfcost.analysis.predict import Machine
from tfcost.analysis.roofline import predicted
from tfcost.analysis.sweep import sweep
from tfcost.book import Book, load_book
from tfcost.cli.ask import config_overrides, warn_inexact
from tfcost.cli.options import Destination, Question
from tfcost.cli.output import note
from tfcost.cli.swept import draw
from tfcost.config.load import load_config, load_model
from tfcost.config.model import ModelConfig
from tfcost.errors import UserError
from tfcost.report.models import SCOPE, model_document, model_lines, models_report
from tfcost.report.page import Report
from tfcost.report.sweep import Told, sweep_report
from tfcost.report.sweep_plot import check_plot_path


def compare_model_files(
    paths: Sequence[Path], question: Question, destination: Destination, plot: Path | None
) -> Report:
    """The comparison of the models in `paths`, at the lengths of their files, at --n, or along several of those; with
    `plot`, also drawn into that file. UserError for a wrong file, question or plot.
    """
    book, device = load_book(), load_machine(question.device or DEFAULT_DEVICE)
    lengths = question.lengths()
    if plot is not None:
        check_plot_path(plot)
    if lengths:
        named = named_models(paths, question.without("n"), book, destination.quiet)
        return _swept(_Asked(named, question, book, device), destination, plot)
    named = named_models(paths, question, book, destination.quiet)
    configs = {name: _load(path, question, book) for name, path in named.items()}
    costs = {name: compose(config, book, pass_=question.pass_ or "forward") for name, config in configs.items()}
    for cost in costs.values():
        warn_inexact(cost, destination.quiet)
    most = {name: config.max_positions for name, config in configs.items()}
    return models_report(compare_models(costs, most, device), configs, device)


class _Asked(NamedTuple):
    """Models by name, and what is asked about them."""

    paths: Mapping[str, Path]
    question: Question
    book: Book
    device: Machine

    def config(self, name: str, n: int) -> ModelConfig:
        return _load(self.paths[name], self.question.at(n), self.book)

    def cost(self, name: str, n: int) -> tuple[ModelConfig, ModelCost]:
        config = self.config(name, n)
        return config, compose(config, self.book, pass_=self.question.pass_ or "forward")

    def maker(self, name: str) -> Callable[[int], Contender]:
        def make(n: int) -> Contender:
            try:
                config, cost = self.cost(name, n)
            except UserError as error:
                raise UserError(f"{name}: {str(error).removeprefix('--n: ')}") from None
            return model_contender(name, cost, config.max_positions, self.device)

        return make


def _swept(asked: _Asked, destination: Destination, plot: Path | None) -> Report:
    along = [quantity for quantity in MODEL_QUANTITIES if quantity not in WITHOUT_LENGTH]
    lengths = asked.question.lengths()
    found = sweep(SCOPE, {name: asked.maker(name) for name in asked.paths}, lengths, along)
    longest = {one.name: asked.cost(one.name, one.values["n"]) for one in found.contenders}
    configs = {name: config for name, (config, _) in longest.items()}
    costs = {name: cost for name, (_, cost) in longest.items()}
    for cost in costs.values():
        warn_inexact(cost, destination.quiet)
    title = " vs ".join(asked.paths)
    if plot is not None:
        draw(found, asked.device, plot, title)

    def document() -> dict[str, Any]:
        times = {name: predicted(cost, asked.device) for name, cost in costs.items()}
        return model_document(costs, times, configs)

    lines = (f"n from {lengths[0]} to {lengths[-1]}", *model_lines(costs, configs, but=("n", "m")))
    return sweep_report([found], Told(title, lines, document, ratios=True), asked.device)


def _load(path: Path, question: Question, book: Book) -> ModelConfig:
    return load_config(path, config_overrides(question), book.names)


def named_models(paths: Sequence[Path], question: Question, book: Book, quiet: bool) -> dict[str, Path]:
    """The files by the names of their models, or by their own where those are not told apart; what was taken from
    defaults is told.
    """
    models = [load_model(path, config_overrides(question), book.names) for path in paths]
    for model in models:
        for told in model.notes:
            note(f"{model.config.name}: {told}", quiet)
    for shorter in ([model.config.name for model in models], [path.stem for path in paths]):
        if len(set(shorter)) == len(paths):
            return dict(zip(shorter, paths, strict=True))
    return {str(path): path for path in paths}
