"""Runs a subject the way a program would, and says when each pass begins: forward alone, or forward then backward.

Two settings. *Held*: the caller keeps inputs, output and the output's gradient, as a benchmark does. *Released*: the
subject is one part of a chain (a block of a model), so its input and output live only as long as somebody needs them.
The same functions run real tensors when a technique is measured. The gradient that comes in is left as it is, or
given to `fill`, which puts numbers into it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from tfcost.derive.errors import DerivationError


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """All tensors of a nested structure."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def run_forward(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The forward pass alone: no gradients, nothing saved."""
    with torch.no_grad():
        return function(**arguments)


Fill = Callable[[torch.Tensor], object]


def run_held(
    function: Callable[..., Any],
    arguments: dict[str, Any],
    begin_backward: Callable[[Any], None],
    fill: Fill | None = None,
) -> None:
    """Forward, then backward from given output gradients; `begin_backward(outputs)` is called between the two.

    Raises `DerivationError` if no output depends on an argument in a way that autograd knows.
    """
    outputs = [tensor for tensor in tensors_in(function(**arguments)) if tensor.requires_grad]
    if not outputs:
        raise DerivationError("the function returned no tensor that has a gradient: there is no backward pass")
    gradients = [torch.empty_like(output) for output in outputs]
    if fill is not None:
        for gradient in gradients:
            fill(gradient)
    begin_backward(outputs)
    torch.autograd.backward(outputs, gradients)


class Source(torch.autograd.Function):
    """Stands for the part before: makes the input, and drops the gradient that comes back for it."""

    @staticmethod
    def forward(ctx: Any, anchor: torch.Tensor, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The input, made now."""
        return make()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None]:
        """Nothing: the gradient ends here."""
        return None, None


class _Sink(torch.autograd.Function):
    """Stands for the part after: keeps nothing of the output, and makes its gradient when backward begins.

    Its own result has no elements, so that it takes no memory.
    """

    @staticmethod
    def forward(ctx: Any, output: torch.Tensor, begin_backward: Callable[[], None], fill: Fill | None) -> torch.Tensor:
        ctx.make_gradient = partial(torch.empty, output.shape, dtype=output.dtype, device=output.device)
        ctx.begin_backward, ctx.fill = begin_backward, fill
        return output.new_empty(0)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        gradient = ctx.make_gradient()
        if ctx.fill is not None:
            ctx.fill(gradient)
        ctx.begin_backward()
        return gradient, None, None


def run_released(
    function: Callable[..., Any],
    make_input: Callable[[], torch.Tensor] | None,
    arguments: dict[str, Any],
    begin_forward: Callable[[], None],
    end_forward: Callable[[], None],
    begin_backward: Callable[[], None],
    fill: Fill | None = None,
) -> None:
    """Forward and backward of one part of a chain.

    `make_input` makes the part's input `x` (None: the part is the first one). `begin_forward` is called with `x`
    alive, `end_forward` once neither `x` nor the output is held by the caller, `begin_backward` with the output's
    gradient alive. A scalar output is a loss: it stays held, and its gradient is autograd's own.
    """
    anchor = torch.empty(0, requires_grad=True)
    x = {"x": Source.apply(anchor, make_input)} if make_input is not None else {}  # type: ignore[no-untyped-call]
    begin_forward()
    output = function(**x, **arguments)
    x.clear()
    if output.dim() == 0:
        end_forward()
        begin_backward()
        output.backward()
        return
    end = _Sink.apply(output, begin_backward, fill)  # type: ignore[no-untyped-call]
    del output
    end_forward()
    torch.autograd.backward(end, torch.empty_like(end))
