"""Pipeline parallelism: Q stages, each with its layers; A micro-batches go through them, forward and backward.

A stage first lets in as many micro-batches as there are stages after it, then does one forward and one backward in turn
(1F1B: Narayanan et al. 2021, arXiv 2104.04473, section 2.2): it keeps what the backward passes of a few micro-batches
need, however many there are. `in_flight` of a cost (`Cost.composition`) is how many.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import sympy as sp
import torch
from torch import Tensor

from tfcost.collectives import Group, receive_, send
from tfcost.cost import IN_FLIGHT, Cost
from tfcost.derive.sizes import size_symbol
from tfcost.derive.subject import Size, Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.techniques.parallel.parts import on_group

GROUP = "Q"


@dataclass(frozen=True, slots=True)
class Stage:
    """What one GPU of `group` runs, at `place` in the pipeline: `first(i)` makes micro-batch i where no stage comes
    before; others receive tensors like `like`. `run` gives what the next stage gets, or a loss where none comes after.
    """

    run: Callable[[Tensor], Tensor]
    first: Callable[[int], Tensor]
    like: Tensor
    group: Group
    place: int

    def forward(self, number: int) -> Tensor:
        """Micro-batch `number` through this stage; what is returned leads back to it and takes no memory."""
        anchor = torch.empty(0, requires_grad=True)
        x: Tensor = _Incoming.apply(anchor, self, number)  # type: ignore[no-untyped-call]
        out = self.run(x)
        if self.place == self.group.size - 1:
            return out
        token: Tensor = _Outgoing.apply(out, self)  # type: ignore[no-untyped-call]
        return token


class _Incoming(torch.autograd.Function):
    """The rows of a micro-batch from the stage before; back, their gradient to it."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, stage: Stage, number: int) -> Tensor:
        ctx.stage = stage
        if stage.place == 0:
            return stage.first(number)
        return receive_(torch.empty_like(stage.like), stage.group, stage.place - 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        if ctx.stage.place > 0:
            send(gradient, ctx.stage.group, ctx.stage.place - 1)
        return None, None, None


class _Outgoing(torch.autograd.Function):
    """The result of a micro-batch to the stage after; back, its gradient from there."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, stage: Stage) -> Tensor:
        ctx.stage = stage
        send(out, stage.group, stage.place + 1)
        return out.new_empty(0)

    @staticmethod
    def backward(ctx: Any, nothing: Tensor) -> tuple[Tensor, None]:
        return receive_(torch.empty_like(ctx.stage.like), ctx.stage.group, ctx.stage.place + 1), None


def one_forward_one_backward(stage: Stage, micro_batches: int) -> None:
    """All micro-batches through `stage`; gradients of weights add up over them."""
    ahead = min(stage.group.size - stage.place - 1, micro_batches)
    waiting = [stage.forward(number) for number in range(ahead)]
    for number in range(ahead, micro_batches):
        waiting.append(stage.forward(number))
        _backward(waiting)
    while waiting:
        _backward(waiting)


def _backward(waiting: list[Tensor]) -> None:
    """The oldest micro-batch."""
    oldest = waiting.pop(0)
    torch.autograd.backward(oldest, torch.empty_like(oldest) if oldest.dim() else None)


class _Keeping(torch.autograd.Function):
    """A stage of which nothing is known but that it keeps y numbers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: int) -> Tensor:
        ctx.kept = x.new_empty(kept)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _measured_stage(like: Tensor, group: Group, A: int, y: int, place: str) -> Tensor:
    """The schedule around a stage that keeps y numbers of every micro-batch."""
    last = group.size - 1
    where = {"first": 0, "second": 1, "last": last}[place]

    def run(x: Tensor) -> Tensor:
        out: Tensor = _Keeping.apply(x, y)  # type: ignore[no-untyped-call]
        return out.sum() if where == last else out

    one_forward_one_backward(Stage(run, lambda number: torch.empty_like(like), like, group, where), A)
    return like


_PLACES = ("first", "second", "last")
# Sizes, stages, micro-batches and what the sizes mean, so that one of the two numbers is at least the other.
_NUMBERS = {
    "many": (("e", "v"), "e + 1", "e + 1 + v", (("e", "Q - 1"), ("v", "A - Q")), "Q <= A"),
    "few": (("A", "v"), "A + v", "A", (("v", "Q - A"),), "A <= Q"),
}


def _variants() -> Iterator[Variant]:
    for place in _PLACES:
        for numbers, (sizes, stages, micro_batches, meanings, assumption) in _NUMBERS.items():
            arguments = {"like": Shape("z"), GROUP: Size(stages), "A": Size(micro_batches), "y": Size("y")}
            subject = Subject(partial(_with_gradients, place=place), arguments, (*sizes, "y", "z"))
            options = {"place": place, "micro_batches": numbers}
            yield Variant("schedule", options, subject, meanings, (assumption,), backward=False)


def _with_gradients(**arguments: Any) -> Tensor:
    """A step trains: its backward passes are part of it."""
    with torch.enable_grad():
        return on_group(_measured_stage, GROUP)(**arguments)


def _in_flight(costs: Sequence[Cost]) -> Iterator[Cost]:
    """Every cost with the number of micro-batches that it keeps y numbers of at its highest moment."""
    for cost in costs:
        peak = cost.quantities["peak_bytes"].exact.sympy
        kept = sp.diff(peak, size_symbol("y")) / getattr(torch, cost.dtypes[0]).itemsize
        yield replace(cost, scope="stage", composition={IN_FLIGHT: Formula.of(sp.expand(kept))})


TECHNIQUE = Technique(
    name="pipeline",
    title="Pipeline parallelism",
    section="",
    implementation="torch",
    summary="Q stages with layers of their own pass micro-batches on; one forward and one backward in turn.",
    options={
        "place": Option(_PLACES, "first", "where the stage stands"),
        "micro_batches": Option(tuple(_NUMBERS), "many", "at least as many as stages, or at most"),
    },
    variants=_variants,
    composed=_in_flight,
)
