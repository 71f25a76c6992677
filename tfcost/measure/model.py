"""A whole model, run for real: the parts that the book composes, each by its own function, with random weights.

In: a case whose `model` is a configuration. Out: the program of its forward pass, of one decode step, or of a training
step, which keeps what its recomputation policy says and ends with the optimizer's step if there is one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from tfcost.analysis.model import ModelCost, Part, Run, compose
from tfcost.analysis.model.training import divided
from tfcost.book import Book
from tfcost.config.load import make_config
from tfcost.config.model import ModelConfig
from tfcost.derive.harness import Source, tensors_in
from tfcost.derive.subject import Subject, Tensor, parse_shape
from tfcost.errors import UserError
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
    """One execution of a part: its function, its weights and sizes, its tables and caches; `data` are the names of what
    else it takes.
    """

    name: str
    function: Callable[..., torch.Tensor]
    weights: Weights
    constants: Weights
    data: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """The links in order, in pieces that are recomputed as a whole or not; tokens, targets; for a model without a
    vocabulary, how its input is made; and the optimizer's function with what it keeps for each weight.
    """

    pieces: tuple[tuple[tuple[Link, ...], bool], ...]
    data: Mapping[str, torch.Tensor]
    make_x: Callable[[], torch.Tensor] | None
    update: Callable[..., object] | None = None
    state: list[Weights] = field(default_factory=list)

    @property
    def links(self) -> tuple[Link, ...]:
        """All links in order."""
        return tuple(link for links, _ in self.pieces for link in links)

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Every weight once."""
        found = tensors_in([link.weights for link in self.links])
        return list({id(weight): weight for weight in found}.values())

    @property
    def constants(self) -> list[torch.Tensor]:
        """Every table and cache once."""
        found = tensors_in([link.constants for link in self.links])
        return list({id(one): one for one in found}.values())

    def __call__(self) -> torch.Tensor:
        """Forward: the last hidden states, the logits, or in training the loss."""
        # The leaf that makes autograd follow an input without a vocabulary; it has no elements.
        x = None if self.make_x is None else Source.apply(torch.empty(0, requires_grad=True), self.make_x)  # type: ignore[no-untyped-call]
        for links, recomputed in self.pieces:
            if recomputed:
                # Nothing here is random: no state to go back to.
                x = checkpoint(partial(self._through, links), x, use_reentrant=False, preserve_rng_state=False)
                continue
            for link in links:
                x = self._run(link, x)
        assert isinstance(x, torch.Tensor)
        return x

    def _through(self, links: Sequence[Link], x: torch.Tensor | None) -> torch.Tensor | None:
        for link in links:
            x = self._run(link, x)
        return x

    def _run(self, link: Link, x: torch.Tensor | None) -> torch.Tensor:
        given = {name: self.data[name] for name in link.data if name != "x"}
        taken = {"x": x} if "x" in link.data else {}
        return link.function(**taken, **given, **link.weights, **link.constants)

    def step(self) -> None:
        """The optimizer's step, weight by weight."""
        if self.update is not None:
            with torch.no_grad():
                for weight, state in zip(self.parameters, self.state, strict=True):
                    self.update(weight=weight, gradient=weight.grad, **state)


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
    pieces = []
    for run in cost.runs:
        for parts, recomputed in pieces_of(run, config, cost.values, training):
            pieces.append((tuple(maker.link(part) for part in parts), recomputed))
    if config.head == "tied":
        pieces[-1][0][-1].weights["table"] = pieces[0][0][0].weights["table"]
    model = Model(tuple(pieces), maker.data, maker.input_of(cost.runs[0].parts[0]))
    optimizer = next((part for part in cost.parts if part.name == "optimizer"), None)
    return model if optimizer is None else _with_optimizer(model, optimizer)


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
        self.data: dict[str, torch.Tensor] = {}
        self._tables: dict[tuple[object, ...], torch.Tensor] = {}

    def link(self, part: Part) -> Link:
        """One execution of `part`."""
        variant = variant_of(part.forward)
        sizes, arguments = concrete_sizes(variant, part.values), variant.subject.arguments
        for name in set(arguments) & set(_INDICES) - set(self.data):
            self.data[name] = make_tensor(arguments[name], sizes, self.dtype, self.device, False)
        constants = {name: self._constant(name, argument, sizes) for name, argument in arguments.items()
                     if _is_constant(argument)}  # fmt: skip
        rest = {name: argument for name, argument in arguments.items() if name not in (*_GIVEN, *constants)}
        own = Subject(variant.subject.function, rest, variant.subject.sizes)
        weights = make_arguments(own, sizes, self.dtype, self.device, self.training)
        data = tuple(name for name in arguments if name in _GIVEN)
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
    """The model with the optimizer's state, as large as its weights."""
    subject = variant_of(part.forward).subject
    kept = [name for name in _STATE if isinstance(subject.arguments.get(name), Tensor)]
    state = [{name: torch.zeros_like(weight) for name in kept} for weight in model.parameters]
    return Model(model.pieces, model.data, model.make_x, subject.function, state)


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
    held = [*model.parameters, *model.constants, *model.data.values(), *tensors_in(model.state)]
    hooks.left(blocks(held))
    loss.backward()  # type: ignore[no-untyped-call]
    model.step()
    hooks.end()
