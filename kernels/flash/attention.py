"""The launcher of the flash kernels and their autograd function.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h]. Out: [b,h,n,d_h].
Sizes may be symbolic (torch.SymInt): nothing here branches on b, h, h_kv, n or m, so a trace keeps them as symbols.
"""

from functools import partial

import torch
import triton
from torch import Tensor

from tfcost_kernels.common.autograd import Launches, attend
from tfcost_kernels.common.checks import check_attention, check_heads_fit
from tfcost_kernels.common.gradients import launch_delta
from tfcost_kernels.common.launch import scales, strides
from tfcost_kernels.flash.backward import dk_dv_kernel, dq_kernel
from tfcost_kernels.flash.forward import forward_kernel
from tfcost_kernels.flash.tiles import HEAD_WIDTHS, Tile, Tiles, tiles_for


def flash_attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False, tiles: Tiles | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d_h)) v, exactly, without storing the scores (FlashAttention-2, arXiv 2307.08691).

    q is [b,h,n,d_h], k and v are [b,h_kv,m,d_h] with h a multiple of h_kv; the result is [b,h,n,d_h] in q's dtype.
    `causal` lets query i see keys j <= i + m - n (aligned to the end); a row without keys is 0, and so is its gradient.
    Batch, head and row strides are free; an input whose last dimension is not contiguous is copied first.
    `tiles` replaces the table's tile sizes. Raises ValueError for shapes, dtypes or devices that the kernels lack.
    """
    check_attention("flash", forward_kernel, q, k, v, widths=HEAD_WIDTHS)
    check_heads_fit(q)
    tiles = tiles or tiles_for(q.shape[-1], q.element_size())
    forward = partial(launch_forward, causal=causal, tile=tiles.forward)
    return attend(Launches(forward, partial(launch_backward, causal=causal, tiles=tiles)), q, k, v)


def launch_forward(
    q: Tensor, k: Tensor, v: Tensor, causal: bool, tile: Tile, *, save_lse: bool
) -> tuple[Tensor, Tensor | None]:
    """O [b,h,n,d_h] and, if asked for, the base-2 log-sum-exp of the scaled scores [b,h,n] in fp32."""
    b, h, n, d_h = q.shape
    o = torch.empty_like(q)
    lse = torch.empty((b, h, n), dtype=torch.float32, device=q.device) if save_lse else None
    forward_kernel[(triton.cdiv(n, tile.rows), b * h)](
        q, k, v, o, lse, *strides(q, k, v, o), h, h // k.shape[1], n, k.shape[2], scales(d_h)[1],
        D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=causal, SAVE_LSE=save_lse,
        num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return o, lse


def launch_backward(
    q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, do: Tensor, causal: bool, tiles: Tiles
) -> tuple[Tensor, Tensor, Tensor]:
    """(dQ, dK, dV), shaped and typed like q, k, v."""
    delta = launch_delta(o, do, tiles.dq.rows)
    dk, dv = launch_dk_dv(q, k, v, do, lse, delta, causal, tiles.dk_dv)
    return launch_dq(q, k, v, do, lse, delta, causal, tiles.dq), dk, dv


def launch_dk_dv(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, lse: Tensor, delta: Tensor, causal: bool, tile: Tile
) -> tuple[Tensor, Tensor]:
    """DK and dV, shaped and typed like k and v."""
    b, h_kv, m, d_h = k.shape
    dk, dv = torch.empty_like(k), torch.empty_like(v)
    dk_dv_kernel[(triton.cdiv(m, tile.keys), b * h_kv)](
        q, k, v, do, lse, delta, dk, dv, *strides(q, k, v, do, dk, dv),
        h_kv, q.shape[1] // h_kv, q.shape[2], m, *scales(d_h),
        D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=causal, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dk, dv


def launch_dq(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, lse: Tensor, delta: Tensor, causal: bool, tile: Tile
) -> Tensor:
    """dQ, shaped and typed like q."""
    b, h, n, d_h = q.shape
    dq = torch.empty_like(q)
    dq_kernel[(triton.cdiv(n, tile.rows), b * h)](
        q, k, v, do, lse, delta, dq, *strides(q, k, v, do, dq),
        h, h // k.shape[1], n, k.shape[2], *scales(d_h),
        D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=causal, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dq
