"""Attention as one differentiable function of q, k and v, whichever kernels compute it.

In: a call's launches, q [b,h,n,d_h], k and v [b,h_kv,m,d_h]. Out: [b,h,n,d_h]. Kept for the backward pass: the inputs,
the output and the log-sum-exp of each row's scores.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tfcost_kernels.common.launch import rows_contiguous


class Launches(NamedTuple):
    """What one call launches, its options bound.

    `forward`(q, k, v, *indices, save_lse=...) gives (O, LSE or None); `backward`(q, k, v, *indices, o, lse, do) gives
    (dQ, dK, dV). All tensors have contiguous rows.
    """

    forward: Callable[..., tuple[Tensor, Tensor | None]]
    backward: Callable[..., tuple[Tensor, Tensor, Tensor]]


def attend(launches: Launches, q: Tensor, k: Tensor, v: Tensor, *indices: Tensor) -> Tensor:
    """The attention of `launches`. `indices` are integer tensors that the kernels read, without gradients."""
    q, k, v = (rows_contiguous(t) for t in (q, k, v))
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return _Attention.apply(launches, q, k, v, *indices)
    return launches.forward(q, k, v, *indices, save_lse=False)[0]


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, launches: Launches, q: Tensor, k: Tensor, v: Tensor, *indices: Tensor) -> Tensor:
        o, lse = launches.forward(q, k, v, *indices, save_lse=True)
        ctx.save_for_backward(q, k, v, *indices, o, lse)
        ctx.launches = launches
        return o

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        dq, dk, dv = ctx.launches.backward(*saved, rows_contiguous(do))
        return None, dq, dk, dv, *[None] * (len(saved) - 5)
