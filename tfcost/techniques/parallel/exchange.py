"""Where a tensor-parallel region begins and ends: an exchange in the forward pass and its counterpart in the backward.

Tensor parallelism (Shoeybi et al. 2019, arXiv 1909.08053, section 3): rows are whole on every GPU; the region begins
with `copied` and ends with `reduced`. Sequence parallelism (Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.2):
outside the region every GPU has its own rows; it begins with `gathered_linears` and ends with `scattered`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tfcost.collectives import Group, all_gather, all_reduce_, reduce_scatter


class _Copied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # The gradient was made for this region alone: nobody else reads it.
        return all_reduce_(gradient, ctx.group), None


class _Reduced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.mark_dirty(x)
        return all_reduce_(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _Scattered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group, rows: int) -> Tensor:
        ctx.group, ctx.rows = group, x.shape[0]
        return reduce_scatter(x, group, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return all_gather(gradient, ctx.group, ctx.rows), None, None


class _GatheredLinears(torch.autograd.Function):
    """Keeps this GPU's rows alone, and gathers all of them again for the weights' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group, rows: int, count: int, *tensors: Tensor | None) -> Any:
        weights, biases = [one for one in tensors[:count] if one is not None], tensors[count:]
        ctx.save_for_backward(x, *weights)
        ctx.group, ctx.rows, ctx.biased = group, rows, [bias is not None for bias in biases]
        every = all_gather(x, group, rows)
        return tuple(torch.nn.functional.linear(every, w, b) for w, b in zip(weights, biases, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        total = gradients[0] @ weights[0]
        for gradient, weight in zip(gradients[1:], weights[1:], strict=True):
            total.add_(gradient @ weight)
        own = reduce_scatter(total, ctx.group, x.shape[0])
        del total
        every = all_gather(x, ctx.group, ctx.rows)
        of_weights = [gradient.t() @ every for gradient in gradients]
        of_biases = [one.sum(0) if biased else None for one, biased in zip(gradients, ctx.biased, strict=True)]
        return own, None, None, None, *of_weights, *of_biases


def copied(x: Tensor, group: Group) -> Tensor:
    """X itself; its gradient is the sum of every GPU's. Any shape."""
    result: Tensor = _Copied.apply(x, group)  # type: ignore[no-untyped-call]
    return result


def reduced(x: Tensor, group: Group) -> Tensor:
    """The sum of every GPU's x, in its place; the gradient passes as it is. Any shape."""
    result: Tensor = _Reduced.apply(x, group)  # type: ignore[no-untyped-call]
    return result


def scattered(x: Tensor, group: Group, rows: int) -> Tensor:
    """The `rows` rows of this GPU of the sum of every GPU's x [T·rows, ...]; all gradients are gathered."""
    result: Tensor = _Scattered.apply(x, group, rows)  # type: ignore[no-untyped-call]
    return result


def gathered_linears(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None], group: Group, rows: int
) -> tuple[Tensor, ...]:
    """X·Wᵀ + bias for every weight and the rows of all GPUs. x: [rows/T, d]; weights: [e, d]; returns [rows, e]s."""
    result: tuple[Tensor, ...] = _GatheredLinears.apply(x, group, rows, len(weights), *weights, *biases)  # type: ignore[no-untyped-call]
    return result
