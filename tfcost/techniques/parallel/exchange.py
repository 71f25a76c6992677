"""Where a tensor-parallel region begins and ends: an exchange in the forward pass and its counterpart in the backward.

Tensor parallelism (Shoeybi et al. 2019, arXiv 1909.08053, section 3): rows are whole on every GPU; the region begins
with `copied` and ends with `reduced`. Sequence parallelism (Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.2):
outside the region every GPU has its own rows; it begins with `gathered` and ends with `scattered`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        return all_reduce_(gradient.contiguous(), ctx.group), None


class _Reduced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.mark_dirty(x)
        return all_reduce_(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: "Kept", group: Group, rows: int) -> Tensor:
        ctx.kept, ctx.group, ctx.rows = kept, group, x.shape[0]
        return all_gather(x, group, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        ctx.kept.drop()
        return reduce_scatter(gradient, ctx.group, ctx.rows), None, None, None


class _Scattered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group, rows: int) -> Tensor:
        ctx.group, ctx.rows = group, x.shape[0]
        return reduce_scatter(x, group, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return all_gather(gradient, ctx.group, ctx.rows), None, None


def copied(x: Tensor, group: Group) -> Tensor:
    """X itself; its gradient is the sum of every GPU's. Any shape."""
    result: Tensor = _Copied.apply(x, group)  # type: ignore[no-untyped-call]
    return result


def reduced(x: Tensor, group: Group) -> Tensor:
    """The sum of every GPU's x, in its place; the gradient passes as it is. Any shape."""
    result: Tensor = _Reduced.apply(x, group)  # type: ignore[no-untyped-call]
    return result


def gathered(x: Tensor, kept: "Kept", group: Group, rows: int) -> Tensor:
    """All `rows` rows of x [rows/T, ...]; their gradients are summed and scattered."""
    result: Tensor = _Gathered.apply(x, kept, group, rows)  # type: ignore[no-untyped-call]
    return result


def scattered(x: Tensor, group: Group, rows: int) -> Tensor:
    """The `rows` rows of this GPU of the sum of every GPU's x [T·rows, ...]; all gradients are gathered."""
    result: Tensor = _Scattered.apply(x, group, rows)  # type: ignore[no-untyped-call]
    return result


_active: list[tuple[int, "Kept"]] = []
"""The storages that are stood for now, outermost first: of nested hooks torch calls the innermost alone."""


class Kept:
    """Stands for a gathered tensor in what the backward pass needs: it is gathered again then, once, and dropped."""

    def __init__(self, again: Callable[[], Tensor]) -> None:
        """`again` makes a tensor with the same elements in the same places."""
        self._make: Callable[[], Tensor] | None = again
        self._made: Tensor | None = None

    @contextmanager
    def instead_of(self, tensor: Tensor) -> Iterator[None]:
        """What the code of the block saves of `tensor`, or of views of it, is kept as the way it lies in it."""
        _active.append((tensor.untyped_storage()._cdata, self))
        del tensor
        try:
            with torch.autograd.graph.saved_tensors_hooks(_packed, _unpacked):
                yield
        finally:
            _active.pop()

    def gather(self) -> Tensor:
        """The whole tensor, gathered if it is not there."""
        if self._made is None:
            assert self._make is not None, "a gathered tensor is needed after its gradient was made"
            self._made = self._make()
        return self._made

    def drop(self) -> None:
        """The backward pass needs it no more."""
        self._make = self._made = None


def _packed(saved: Tensor) -> Any:
    storage = saved.untyped_storage()._cdata
    for known, kept in _active:
        if known == storage:
            return kept, saved.shape, saved.stride(), saved.storage_offset()
    return saved


def _unpacked(packed: Any) -> Tensor:
    if isinstance(packed, Tensor):
        return packed
    kept, *layout = packed
    result: Tensor = kept.gather().as_strided(*layout)
    return result
