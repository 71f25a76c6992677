"""A whole model, run for real: the parts that the book composes, each by its own function, with random weights.

In: a case whose `model` is a configuration. Out: the program of its forward pass, of one decode step, or of a training
step, which keeps what its recomputation policy says and ends with the optimizer's step if there is one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch

from tfcost.analysis.model import ModelCost, Part, Run, compose
from tfcost.analysis.model.optimizer import OPTIMIZER
from tfcost.analysis.model.training import divided
from tfcost.book import Book
from tfcost.config.load import make_config
from tfcost.config.model import ModelConfig
from tfcost.derive.harness import tensors_in
from tfcost.derive.subject import Subject, Tensor, parse_shape
from tfcost.errors import UserError
from tfcost.evidence.record import Case
from tfcost.measure.arguments import concrete_sizes, make_arguments, make_tensor
from tfcost.measure.links import Link, Model, Piece, Weights
from tfcost.measure.program import Hooks, Program, blocks, dtype_of, forget_gradients
from tfcost.measure.variants import variant_of

_INDICES = ("tokens", "targets")
_SHARED = ("bias", "memory")
_GIVEN = ("x", *_INDICES, *_SHARED)
_UPDATED = ("weight", "gradient")


def model_program(case: Case, book: Book, device: str) -> Program:
    """The program of a model's case. UserError for a configuration that the book cannot compose, or a pass (prefill)
    that is not run.
    """
    config = make_config(case.model, book.names)
    if case.pass_ == "prefill":
        raise UserError("prefill is not run by itself: measure forward, which does the same work")
    cost = compose(config, book, pass_=case.pass_)

    def prepare() -> Model:
        torch.manual_seed(case.seed)
        return build_model(config, cost, dtype_of(case), device)

    return Program(prepare, _train if case.pass_ == "train" else _forward)


def build_model(config: ModelConfig, cost: ModelCost, dtype: torch.dtype, device: str) -> Model:
    """The model that `cost` is composed of, with random weights."""
    maker = _Maker(dtype, device, cost.pass_ == "train")
    training = cost.pass_ == "train"
    stacks: dict[str, list[Piece]] = {}
    for run in cost.runs:
        for parts, recomputed in pieces_of(run, config, cost.values, training):
            links = tuple(maker.link(part, run.stage) for part in parts)
            stacks.setdefault(run.stage, []).append((links, recomputed))
    batches = config.training.accumulate if training else 1
    made = tuple(map(tuple, stacks.values()))
    data = tuple(maker.data.get(stage, {}) for stage in stacks)
    model = Model(made, data, maker.input_of(cost.runs[0].parts[0]), batches=batches)
    _tie(model, config)
    optimizer = next((part for part in cost.parts if part.name == OPTIMIZER), None)
    return model if optimizer is None else _with_optimizer(model, optimizer)


def _tie(model: Model, config: ModelConfig) -> None:
    """One table for the embeddings of both stacks, and for a tied head."""
    named = [link for link in model.links if link.name.endswith("embedding")]
    named += [link for link in model.links if link.name == "head" and config.head == "tied"]
    for link in named[1:]:
        link.weights["table"] = named[0].weights["table"]


def pieces_of(
    run: Run, config: ModelConfig, values: Mapping[str, int], training: bool
) -> Iterator[tuple[tuple[Part, ...], bool]]:
    """The parts of all repetitions of a run in order, cut where the recomputation policy cuts them."""
    if not training:
        yield run.parts * int(run.count.evaluate(values)), False
        return
    stretch = divided(run, config.training)
    for _ in range(int(stretch.count.evaluate(values))):
        for piece in stretch.pieces:
            yield piece.parts * int(stretch.repeated.evaluate(values)), piece.recomputed


class _Maker:
    """Makes links: weights for each, tables once for all that use the same."""

    def __init__(self, dtype: torch.dtype, device: str, training: bool) -> None:
        self.dtype, self.device, self.training = dtype, device, training
        self.data: dict[str, dict[str, torch.Tensor]] = {}
        self._tables: dict[tuple[object, ...], torch.Tensor] = {}

    def link(self, part: Part, stage: str) -> Link:
        """One execution of `part` in the stack `stage`."""
        variant = variant_of(part.forward)
        sizes, arguments = concrete_sizes(variant, part.values), variant.subject.arguments
        own_data = self.data.setdefault(stage, {})
        for name in set(arguments) & set(_INDICES) - set(own_data):
            own_data[name] = make_tensor(arguments[name], sizes, self.dtype, self.device, False)
        constants = {name: self._constant(name, argument, sizes) for name, argument in arguments.items()
                     if _is_constant(argument)}  # fmt: skip
        rest = {name: argument for name, argument in arguments.items() if name not in (*_GIVEN, *constants)}
        own = Subject(variant.subject.function, rest, variant.subject.sizes)
        weights = make_arguments(own, sizes, self.dtype, self.device, self.training)
        data = tuple(name for name in arguments if name in _GIVEN and name not in constants)
        return Link(part.name, variant.subject.function, weights, constants, data)

    def _constant(self, name: str, argument: Tensor, sizes: Mapping[str, int]) -> torch.Tensor:
        """A cache, which belongs to one batch and one layer; or a table, which all layers of one shape share."""
        shape = parse_shape(argument.shape)
        make = partial(make_tensor, argument, sizes, self.dtype, self.device, False)
        if any("b" in dimension.symbols for dimension in shape):
            return make()
        key = (name, *(dimension.evaluate(sizes) for dimension in shape))
        return self._tables[key] if key in self._tables else self._tables.setdefault(key, make())

    def input_of(self, first: Part) -> Callable[[], torch.Tensor] | None:
        """How the input of a model without a vocabulary is made."""
        variant = variant_of(first.forward)
        x = variant.subject.arguments.get("x")
        if not isinstance(x, Tensor):
            return None
        return partial(make_tensor, x, concrete_sizes(variant, first.values), self.dtype, self.device, False)


def _is_constant(argument: object) -> bool:
    return isinstance(argument, Tensor) and argument.role == "constant"


def _with_optimizer(model: Model, part: Part) -> Model:
    """The model with the optimizer's state for each weight: zeros, and a copy of the weight in full."""
    variant = variant_of(part.forward)
    kept = {name: argument for name, argument in variant.subject.arguments.items() if name not in _UPDATED}

    def state_of(weight: torch.Tensor) -> Weights:
        sizes = concrete_sizes(variant, {"N": weight.numel()})
        return {name: _state(name, argument, sizes, weight) for name, argument in kept.items()}

    state = [state_of(weight) for weight in model.parameters]
    return replace(model, update=variant.subject.function, state=state)


def _state(name: str, argument: Tensor, sizes: Mapping[str, int], weight: torch.Tensor) -> torch.Tensor:
    if name == "master":
        return weight.detach().view(-1).to(argument.dtype or weight.dtype)
    shape = [int(dimension.evaluate(sizes)) for dimension in parse_shape(argument.shape)]
    return torch.zeros(shape, dtype=argument.dtype or weight.dtype, device=weight.device)


def _forward(model: Model, hooks: Hooks) -> None:
    hooks.begin()
    with torch.no_grad():
        result = model()
    hooks.end()
    del result


def _train(model: Model, hooks: Hooks) -> None:
    forget_gradients(model.parameters)
    hooks.begin()
    for _ in range(model.batches):
        loss = model()
        gradients = tensors_in([weight.grad for weight in model.parameters])
        held = [*model.parameters, *gradients, *model.constants, *tensors_in(model.data), *tensors_in(model.state)]
        hooks.left(blocks(held))
        del gradients, held
        loss.backward()  # type: ignore[no-untyped-call]
        del loss
    model.step()
    hooks.end()
