"""A whole model, run for real: the parts that the book composes, each by its own function, with random weights.

In: a case whose `model` is a configuration. Out: the program of its forward pass or its training step, which ends with
the optimizer's step if the configuration has one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any

import torch

from tfcost.analysis.model import ONE, ModelCost, Part, compose
from tfcost.book import Book
from tfcost.config.load import make_config
from tfcost.config.model import ModelConfig
from tfcost.derive.harness import Source, tensors_in
from tfcost.derive.subject import Subject, Tensor
from tfcost.evidence.record import Case
from tfcost.measure.arguments import concrete_sizes, make_arguments, make_tensor
from tfcost.measure.program import Hooks, Program, blocks, dtype_of, forget_gradients
from tfcost.measure.variants import variant_of

_INDICES = ("tokens", "targets")
_GIVEN = ("x", *_INDICES)
_STATE = ("first", "second")
Weights = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """One execution of a part: its function and its weights and sizes; `data` are the names of what else it takes."""

    name: str
    function: Callable[..., torch.Tensor]
    weights: Weights
    data: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """The links in order; tokens, targets; for a model without a vocabulary, how its input is made; and the optimizer's
    function with what it keeps for each weight.
    """

    links: tuple[Link, ...]
    data: Mapping[str, torch.Tensor]
    make_x: Callable[[], torch.Tensor] | None
    update: Callable[..., object] | None = None
    state: list[Weights] = field(default_factory=list)

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Every weight once."""
        found = tensors_in([link.weights for link in self.links])
        return list({id(weight): weight for weight in found}.values())

    def __call__(self) -> torch.Tensor:
        """Forward: the last hidden states, the logits, or in training the loss."""
        # The leaf that makes autograd follow an input without a vocabulary; it has no elements.
        x = None if self.make_x is None else Source.apply(torch.empty(0, requires_grad=True), self.make_x)  # type: ignore[no-untyped-call]
        for link in self.links:
            given = {name: self.data[name] for name in link.data if name != "x"}
            x = link.function(**({"x": x} if "x" in link.data else {}), **given, **link.weights)
        assert isinstance(x, torch.Tensor)
        return x

    def step(self) -> None:
        """The optimizer's step, weight by weight."""
        if self.update is not None:
            with torch.no_grad():
                for weight, state in zip(self.parameters, self.state, strict=True):
                    self.update(weight=weight, gradient=weight.grad, **state)


def model_program(case: Case, book: Book, device: str) -> Program:
    """The program of a model's case. UserError for a configuration that the book cannot compose."""
    config = make_config(case.model, book.names)
    cost = compose(config, book, pass_=case.pass_)

    def prepare() -> Model:
        torch.manual_seed(case.seed)
        return build_model(config, cost, dtype_of(case), device)

    return Program(prepare, _train if case.pass_ == "train" else _forward)


def build_model(config: ModelConfig, cost: ModelCost, dtype: torch.dtype, device: str) -> Model:
    """The model that `cost` is composed of, with random weights."""
    chain = list(in_order([part for part in cost.parts if part.name != "optimizer"], config.L))
    data: dict[str, torch.Tensor] = {}
    links: list[Link] = []
    for part in chain:
        variant = variant_of(part.forward)
        sizes, arguments = concrete_sizes(variant, cost.values), variant.subject.arguments
        for name in set(arguments) & set(_INDICES) - set(data):
            data[name] = make_tensor(arguments[name], sizes, dtype, device, False)
        weights = _weights(variant.subject, sizes, dtype, device, cost.pass_ == "train")
        data_names = tuple(name for name in arguments if name in _GIVEN)
        links.append(Link(part.name, variant.subject.function, weights, data_names))
    if config.head == "tied":
        links[-1].weights["table"] = links[0].weights["table"]
    model = Model(tuple(links), data, _input_of(chain[0], cost, dtype, device))
    optimizer = next((part for part in cost.parts if part.name == "optimizer"), None)
    return model if optimizer is None else _with_optimizer(model, optimizer)


def in_order(parts: Sequence[Part], layers: int) -> Iterator[Part]:
    """The parts as data passes through them: those of a layer follow each other, as often as there are layers."""
    for single, group in groupby(parts, lambda part: part.count == ONE):
        members = list(group)
        for _ in range(1 if single else layers):
            yield from members


def _input_of(first: Part, cost: ModelCost, dtype: torch.dtype, device: str) -> Callable[[], torch.Tensor] | None:
    """How the input of a model without a vocabulary is made."""
    variant = variant_of(first.forward)
    x = variant.subject.arguments.get("x")
    if not isinstance(x, Tensor):
        return None
    return partial(make_tensor, x, concrete_sizes(variant, cost.values), dtype, device, False)


def _weights(
    subject: Subject, sizes: Mapping[str, int], dtype: torch.dtype, device: str, training: bool
) -> dict[str, Any]:
    rest = {name: argument for name, argument in subject.arguments.items() if name not in _GIVEN}
    return make_arguments(Subject(subject.function, rest, subject.sizes), sizes, dtype, device, training)


def _with_optimizer(model: Model, part: Part) -> Model:
    """The model with the optimizer's state, as large as its weights."""
    subject = variant_of(part.forward).subject
    kept = [name for name in _STATE if isinstance(subject.arguments.get(name), Tensor)]
    state = [{name: torch.zeros_like(weight) for name in kept} for weight in model.parameters]
    return Model(model.links, model.data, model.make_x, subject.function, state)


def _forward(model: Model, hooks: Hooks) -> None:
    hooks.begin()
    with torch.no_grad():
        result = model()
    hooks.end()
    del result


def _train(model: Model, hooks: Hooks) -> None:
    forget_gradients(model.parameters)
    hooks.begin()
    loss = model()
    hooks.left([*blocks(model.parameters), *blocks(model.data.values()), *blocks(tensors_in(model.state))])
    loss.backward()  # type: ignore[no-untyped-call]
    model.step()
    hooks.end()
