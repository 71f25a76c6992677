"""The optimizer of a training step: its cost for all weights together, and the state that it keeps."""

from collections.abc import Mapping

from tfcost.analysis.model.algebra import ONE, ZERO, added, minus
from tfcost.analysis.model.memory import Alive
from tfcost.analysis.model.part import Part
from tfcost.book import Book
from tfcost.book.record import OptionValue
from tfcost.config.model import ModelConfig
from tfcost.errors import UserError
from tfcost.formula import Formula

OPTIMIZER = "optimizer"
"""The name of the part that updates the weights, once a step."""


def optimizer_of(config: ModelConfig, book: Book, values: Mapping[str, int]) -> Part | None:
    """The optimizer's part, None without one. UserError for one that the book does not have."""
    training = config.training
    if training.optimizer == "none":
        return None
    if training.precision == "mixed" and config.dtype == "float32":
        raise UserError("training: mixed precision is for 16-bit dtypes; a float32 model has its weights in full")
    technique = "transformer"
    variant: dict[str, OptionValue] = {"part": training.optimizer}
    if training.precision == "mixed" or training.optimizer == "adamw-8bit":
        technique, variant = "optimizers", {"optimizer": training.optimizer, "precision": training.precision}
    cost = book.find(technique, scope="part", pass_="forward", dtype=config.dtype, variant=variant, values=values)
    return Part(OPTIMIZER, ONE, cost, None)


def state_bytes(optimizer: Part | None, parameters: Formula, weights: Formula) -> Formula:
    """What it keeps between steps: what its step is given beside a weight and a gradient. `parameters` are the model's
    number of weights, `weights` their bytes.
    """
    if optimizer is None:
        return ZERO
    given = optimizer.inference("given_bytes").substitute({"N": parameters})
    return minus(given, weights, weights)


def step_moment(optimizer: Part, parameters: Formula, weights: Formula, data: Formula) -> Alive:
    """What is alive at the highest moment of its step."""
    peak = optimizer.size("peak_bytes").substitute({"N": parameters})
    given = optimizer.inference("given_bytes").substitute({"N": parameters})
    state = state_bytes(optimizer, parameters, weights)
    held = Alive().plus("parameters", weights).plus("gradients", weights).plus("state", state).plus("data", data)
    return held.plus("workspace", added([peak, minus(ZERO, given)]))
