"""Linear attention, full and causal, as functions that torch differentiates.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h]. Out: [b,h,n,d_h]. The kernels' launches are in `launch.py`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tfcost_kernels.linear.checks import check_as_many_keys, check_chunk, check_inputs, check_tiles
from tfcost_kernels.linear.forward import output_kernel
from tfcost_kernels.linear.launch import (
    Options,
    launch_dk_dv,
    launch_dq,
    launch_output,
    launch_state_gradients,
    launch_states,
    rows_contiguous,
)
from tfcost_kernels.linear.tiles import CHUNK, Tiles, tiles_for


def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, *, feature_map: str = "elu+1", normalise: bool = True, tiles: Tiles | None = None
) -> Tensor:
    """φ(q)(φ(k)ᵀv) / (φ(q)Σφ(k) + ε): every query sees all keys (Katharopoulos et al., arXiv 2006.16236).

    q is [b,h,n,d_h], k and v are [b,h_kv,m,d_h] with h a multiple of h_kv; the result is [b,h,n,d_h] in q's dtype.
    `feature_map` is φ: "relu", "exp" or "elu+1"; `normalise=False` leaves the division out. `tiles` replaces the
    table's. Batch, head and row strides are free; an input whose last dimension is not contiguous is copied first.
    Raises ValueError for shapes, dtypes, devices or options that the kernels lack.
    """
    check_inputs(q, k, v, feature_map, output_kernel)
    return _attend(q, k, v, Options(False, feature_map, normalise, tiles or tiles_for(q.shape[-1], q.element_size())))


def causal_linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    c: int = CHUNK,
    *,
    feature_map: str = "elu+1",
    normalise: bool = True,
    tiles: Tiles | None = None,
) -> Tensor:
    """The same where query i sees keys j <= i only, in chunks of `c` rows (Hua et al., arXiv 2202.10447).

    There must be as many keys as queries; n need not be a multiple of c, which is a power of two from 16 to 1024.
    Otherwise as `linear_attention`.
    """
    check_inputs(q, k, v, feature_map, output_kernel)
    check_as_many_keys(q, k)
    check_chunk(c, tiles)
    return _attend(q, k, v, Options(True, feature_map, normalise, tiles or tiles_for(q.shape[-1], q.element_size(), c)))


def _attend(q: Tensor, k: Tensor, v: Tensor, options: Options) -> Tensor:
    check_tiles(options.tiles)
    q, k, v = (rows_contiguous(tensor) for tensor in (q, k, v))
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return _LinearAttention.apply(q, k, v, options)
    return launch_output(q, k, v, launch_states(k, v, options), options, save_norm=False)[0]


class _LinearAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, options: Options) -> Tensor:
        states = launch_states(k, v, options)
        o, norm = launch_output(q, k, v, states, options, save_norm=options.normalise)
        ctx.save_for_backward(q, k, v, o, norm, states)
        ctx.options = options
        return o

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, o, norm, states = ctx.saved_tensors
        do = rows_contiguous(do)
        dq, delta = launch_dq(q, k, v, o, do, states, norm, ctx.options)
        grads = launch_state_gradients(q, k, do, norm, delta, ctx.options)
        dk, dv = launch_dk_dv(q, k, v, do, grads, norm, delta, ctx.options)
        return dq, dk, dv, None
