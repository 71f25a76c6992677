"""The optimizer of a training step: its cost for one weight after the other, and the state that it keeps."""

from collections.abc import Mapping

from tfcost.analysis.model.algebra import ONE, ZERO, minus
from tfcost.analysis.model.part import Part
from tfcost.book import Book
from tfcost.config.model import ModelConfig
from tfcost.errors import UserError
from tfcost.formula import Formula


def optimizer_of(config: ModelConfig, book: Book, values: Mapping[str, int]) -> Part | None:
    """The optimizer's part, None without one. UserError for one that the book does not have."""
    training = config.training
    if training.precision != "same" or training.accumulate != 1:
        raise UserError("training: mixed precision and accumulated gradients are not composed yet")
    if training.optimizer == "none":
        return None
    cost = book.find("transformer", scope="part", pass_="forward", dtype=config.dtype,
                     variant={"part": training.optimizer}, values=values)  # fmt: skip
    return Part("optimizer", ONE, cost, None)


def state_bytes(optimizer: Part | None, parameters: Formula, weights: Formula) -> Formula:
    """What it keeps between steps: what its step is given beside a weight and a gradient. `parameters` are the model's
    number of weights, `weights` their bytes.
    """
    if optimizer is None:
        return ZERO
    given = optimizer.inference("given_bytes").substitute({"N": parameters})
    return minus(given, weights, weights)


def step_peak(optimizer: Part, parameters: Formula) -> Formula:
    """Bytes alive at the highest moment of the step."""
    return optimizer.size("peak_bytes").substitute({"N": parameters})
