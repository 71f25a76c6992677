"""The launcher of the gather kernels and their autograd function.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h], index [b,h_kv,ceil(n/B),listed]. Out: [b,h,n,d_h].
Sizes may be symbolic (torch.SymInt): nothing here branches on b, h, h_kv, n, m or the lists' length.
"""

from functools import partial

import torch
import triton
from torch import Tensor

from tfcost_kernels.common.autograd import Launches, attend
from tfcost_kernels.common.checks import check_attention, check_heads_fit
from tfcost_kernels.common.gradients import launch_delta
from tfcost_kernels.common.launch import scales, strides
from tfcost_kernels.common.shapes import check_filled, differ
from tfcost_kernels.gather.backward import dk_dv_kernel, dq_kernel
from tfcost_kernels.gather.forward import forward_kernel
from tfcost_kernels.gather.tiles import BLOCKS, HEAD_WIDTHS, Tile, Tiles, tiles_for


def gather_attention(
    q: Tensor, k: Tensor, v: Tensor, index: Tensor, *, block: int = 64, causal: bool = False
) -> Tensor:
    """Softmax attention of each block of queries to the key blocks that its list names.

    q is [b,h,n,d_h], k and v are [b,h_kv,m,d_h] with h a multiple of h_kv. `index` [b,h_kv,ceil(n/block),listed] holds
    block numbers, int32 or int64: block c is the keys c*block..c*block+block-1 below m. A number below 0 or at least
    ceil(m/block) selects nothing; one listed twice counts twice. `causal` also hides keys j > i + m - n from query i.
    The result is [b,h,n,d_h] in q's dtype; a row without keys is 0, and so is its gradient. dK and dV are summed by
    fp32 atomic additions, whose order varies from run to run.
    Batch, head and row strides are free; an input whose last dimension is not contiguous is copied first.
    Raises ValueError for shapes, dtypes or devices that the kernels lack.
    """
    check_attention("gather", forward_kernel, q, k, v, widths=HEAD_WIDTHS)
    check_heads_fit(q)
    _check_index(index, q, k, block)
    tiles = tiles_for(block, q.shape[-1], q.element_size())
    forward = partial(launch_forward, block=block, causal=causal, tile=tiles.forward)
    backward = partial(launch_backward, block=block, causal=causal, tiles=tiles)
    return attend(Launches(forward, backward), q, k, v, index.contiguous())


def launch_forward(
    q: Tensor, k: Tensor, v: Tensor, index: Tensor, block: int, causal: bool, tile: Tile, *, save_lse: bool
) -> tuple[Tensor, Tensor | None]:
    """O [b,h,n,d_h] and, if asked for, the base-2 log-sum-exp of the scaled scores [b,h,n] in fp32."""
    b, h, n, d_h = q.shape
    o = torch.empty_like(q)
    lse = torch.empty((b, h, n), dtype=torch.float32, device=q.device) if save_lse else None
    forward_kernel[(triton.cdiv(n, block), b * h)](
        q, k, v, index, o, lse, *strides(q, k, v, o), h, h // k.shape[1], n, k.shape[2], *index.shape[2:],
        scales(d_h)[1], D=d_h, B=block, CAUSAL=causal, SAVE_LSE=save_lse,
        num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return o, lse


def launch_backward(
    q: Tensor, k: Tensor, v: Tensor, index: Tensor, o: Tensor, lse: Tensor, do: Tensor,
    block: int, causal: bool, tiles: Tiles,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(dQ, dK, dV), shaped and typed like q, k, v."""
    delta = launch_delta(o, do, tiles.dq.rows)
    shared = (q, k, v, do, index, lse, delta, block, causal)
    dq = launch_dq(*shared, tiles.dq)
    return dq, *launch_dk_dv(*shared, tiles.dk_dv)


def launch_dq(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, index: Tensor, lse: Tensor, delta: Tensor,
    block: int, causal: bool, tile: Tile,
) -> Tensor:  # fmt: skip
    """dQ, shaped and typed like q."""
    b, h, n, d_h = q.shape
    dq = torch.empty_like(q)
    dq_kernel[(triton.cdiv(n, block), b * h)](
        q, k, v, do, index, lse, delta, dq, *strides(q, k, v, do, dq),
        h, h // k.shape[1], n, k.shape[2], *index.shape[2:], *scales(d_h),
        D=d_h, B=block, CAUSAL=causal, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dq


def launch_dk_dv(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, index: Tensor, lse: Tensor, delta: Tensor,
    block: int, causal: bool, tile: Tile,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """DK and dV, shaped and typed like k and v, contiguous; summed in fp32."""
    b, h_kv, m, d_h = k.shape
    n = q.shape[2]
    dk, dv = (torch.zeros((b, h_kv, m, d_h), dtype=torch.float32, device=k.device) for _ in "kv")
    dk_dv_kernel[(triton.cdiv(n, block), b * h_kv)](
        q, k, v, do, index, lse, delta, dk, dv, *strides(q, k, v, do),
        h_kv, q.shape[1] // h_kv, n, m, *index.shape[2:], *scales(d_h),
        D=d_h, B=block, BM=tile.rows, CAUSAL=causal, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dk.to(k.dtype), dv.to(v.dtype)


def _check_index(index: Tensor, q: Tensor, k: Tensor, block: int) -> None:
    """Raise ValueError unless `index` is an integer [b,h_kv,ceil(n/block),listed] on the device of the others."""
    if index.ndim != 4 or index.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"index must be int32 or int64 [b,h_kv,tiles,listed], got {index.dtype} with {index.ndim} dims"
        )
    if index.device != q.device:
        raise ValueError(f"index must be on one device with q, k, v, got {index.device}, {q.device}")
    if block not in BLOCKS:
        raise ValueError(f"block {block} is not one of {BLOCKS}")
    for axis, name in ((0, "batch"), (1, "heads")):
        if differ(index.shape[axis], k.shape[axis]):
            raise ValueError(f"index {name} is {index.shape[axis]}, but k has {k.shape[axis]}")
    check_filled(index=index)
    tiles = triton.cdiv(q.shape[2], block)
    if differ(index.shape[2], tiles):
        raise ValueError(f"{q.shape[2]} queries are {tiles} blocks of {block}, but index has {index.shape[2]}")
