"""One case as something that can be run: `prepare` makes what it is given, `run` runs the pass and says when it begins.

The functions that run are those that the book was derived from, called the way they were called there (`harness`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch

from tfcost.book import Book
from tfcost.derive.harness import run_forward, run_held, run_released, tensors_in
from tfcost.derive.subject import Subject, Tensor
from tfcost.derive.technique import Variant
from tfcost.evidence.record import Case
from tfcost.measure.arguments import concrete_sizes, make_arguments, make_tensor, whole
from tfcost.measure.booked import cost_of
from tfcost.measure.facts import meet_facts
from tfcost.measure.variants import variant_of

Arguments = dict[str, Any]


class Hooks(Protocol):
    """What is told of a run. A pass may begin and end several times: once for each turn of a loop."""

    def begin(self) -> None:
        """The pass that is measured begins."""

    def end(self) -> None:
        """It is over."""

    def left(self, held: Sequence[int]) -> None:
        """A forward pass is over; of what is alive, blocks of `held` bytes are held by the caller."""


@dataclass(frozen=True, slots=True)
class Program:
    """`run(prepare(), hooks)` runs the case once; what was prepared can be run again."""

    prepare: Callable[[], Any]
    run: Callable[[Any, Hooks], None]


def program_of(case: Case, book: Book, device: str) -> Program:
    """The program of `case`. UserError if book or code do not have it, or if its sizes do not fit."""
    if case.technique == "model":
        from tfcost.measure.model import model_program

        return model_program(case, book, device)
    if case.scope == "stack":
        from tfcost.measure.stacks import stack_program

        return stack_program(case, book, device)
    return _variant_program(case, variant_for(case, book), device)


def variant_for(case: Case, book: Book) -> Variant:
    """The variant that the book's cost for `case` comes from."""
    return variant_of(cost_of(case, book))


def dtype_of(case: Case) -> torch.dtype:
    """The dtype that the case runs in."""
    found: torch.dtype = getattr(torch, case.dtype)
    return found


def _variant_program(case: Case, variant: Variant, device: str) -> Program:
    subject, dtype = variant.subject, dtype_of(case)
    if variant.repeat is not None:
        return _loop(case, variant, device)
    sizes = concrete_sizes(variant, case.sizes)
    training = case.pass_ == "backward" or variant.training
    released = training and bool(variant.part)
    first = subject.arguments.get("x")
    without = "x" if released and isinstance(first, Tensor) else ""

    def prepare() -> Arguments:
        torch.manual_seed(case.seed)
        arguments = make_arguments(subject, sizes, dtype, device, training, without)
        meet_facts(case, arguments)
        return arguments

    if released:
        make_x = partial(make_tensor, first, sizes, dtype, device, False) if isinstance(first, Tensor) else None
        return Program(prepare, partial(run_link, subject.function, make_x, case.pass_))
    return Program(prepare, partial(_backward if training else _forward, subject.function))


def _forward(function: Callable[..., Any], arguments: Arguments, hooks: Hooks) -> None:
    hooks.begin()
    result = run_forward(function, arguments)
    hooks.end()
    del result


def _backward(function: Callable[..., Any], arguments: Arguments, hooks: Hooks) -> None:
    forget_gradients(tensors_in(arguments))

    def begin_backward(outputs: list[torch.Tensor]) -> None:
        gradients = [output.numel() * output.element_size() for output in outputs]
        hooks.left([*blocks([*tensors_in(arguments), *outputs]), *gradients])
        hooks.begin()

    run_held(function, arguments, begin_backward, torch.Tensor.normal_)
    hooks.end()


def run_link(
    function: Callable[..., Any], make_x: Callable[[], torch.Tensor] | None, pass_: str, arguments: Arguments,
    hooks: Hooks,
) -> None:  # fmt: skip
    """A training step of a link of a chain, of which the pass `pass_` is measured (train: both)."""
    forget_gradients(tensors_in(arguments))

    def nothing() -> None:
        return None

    def end_forward() -> None:
        if pass_ == "forward":
            hooks.end()
        hooks.left(blocks(tensors_in(arguments)))

    begin_forward = nothing if pass_ == "backward" else hooks.begin
    begin_backward = hooks.begin if pass_ == "backward" else nothing
    # In a pass that is measured as a whole, nothing may run that the technique does not ask for.
    fill = None if pass_ == "train" else torch.Tensor.normal_
    run_released(function, make_x, arguments, begin_forward, end_forward, begin_backward, fill)
    if pass_ != "forward":
        hooks.end()


def _loop(case: Case, variant: Variant, device: str) -> Program:
    """A pass repeated while a size counts up. Each turn is given tensors of its own; making them is not measured."""
    repeat = variant.repeat
    assert repeat is not None
    first, count = whole(repeat.first, case.sizes), whole(repeat.count, case.sizes)

    def run(subject: Subject, hooks: Hooks) -> None:
        torch.manual_seed(case.seed)
        for turn in range(first, first + count):
            sizes = concrete_sizes(variant, {**case.sizes, repeat.symbol: turn})
            _forward(subject.function, make_arguments(subject, sizes, dtype_of(case), device, False), hooks)

    return Program(lambda: variant.subject, run)


def forget_gradients(tensors: Iterable[torch.Tensor]) -> None:
    """What an earlier run left."""
    for tensor in tensors:
        tensor.grad = None


def blocks(tensors: Iterable[torch.Tensor]) -> list[int]:
    """Bytes of the storages of `tensors`, each once."""
    storages: Mapping[int, int] = {
        storage.data_ptr(): storage.nbytes() for storage in (tensor.untyped_storage() for tensor in tensors)
    }
    return [size for size in storages.values() if size]
