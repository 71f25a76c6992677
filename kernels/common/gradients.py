"""The parts of attention's backward pass that do not depend on who sees whom: delta, and one pair of tiles.

In: O and dO, or tiles of Q, K, V, dO with the weights P computed again. Out: delta [b,h,n] in fp32; sums in fp32.
(FlashAttention-2, arXiv 2307.08691, algorithm 2.)
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from tfcost_kernels.common.launch import strides
from tfcost_kernels.common.rows import head_start, load_rows


def launch_delta(o: Tensor, do: Tensor, rows: int) -> Tensor:
    """Delta [b,h,n] in fp32: the row sums of o*do, `rows` of them per program."""
    b, h, n, d_h = o.shape
    delta = torch.empty((b, h, n), dtype=torch.float32, device=o.device)
    delta_kernel[(triton.cdiv(n, rows), b * h)](
        o, do, delta, *strides(o, do), h, n, D=d_h, BM=rows, num_warps=4, num_stages=1
    )
    return delta


@triton.jit
def delta_kernel(
    o_ptr, do_ptr, delta_ptr,
    stride_ob, stride_oh, stride_on, stride_dob, stride_doh, stride_don,
    heads, n, D: tl.constexpr, BM: tl.constexpr,
):  # fmt: skip
    """delta[i] = sum over the head width of O[i]*dO[i], in fp32. Grid: (ceil(n/BM), b*heads)."""
    first = tl.program_id(0) * BM
    batch = tl.program_id(1) // heads
    head = tl.program_id(1) % heads
    o = load_rows(head_start(o_ptr, batch, head, stride_ob, stride_oh), stride_on, first, n, D, BM)
    do = load_rows(head_start(do_ptr, batch, head, stride_dob, stride_doh), stride_don, first, n, D, BM)
    delta = tl.sum(o.to(tl.float32) * do.to(tl.float32), 1)
    row = first + tl.arange(0, BM)
    tl.store(delta_ptr + tl.cast(tl.program_id(1), tl.int64) * n + row, delta, mask=row < n)


@triton.jit
def add_to_dk_dv(dk, dv, k, v, q, do, p, delta):
    """Add one pair of tiles: k, v, dk, dv are [BN, D], q and do [BM, D], p [BN, BM] transposed, delta [BM]."""
    dv = tl.dot(p.to(do.dtype), do, dv, input_precision="ieee")
    dp = tl.dot(v, tl.trans(do), input_precision="ieee")  # [BN, BM]
    ds = p * (dp - delta[None, :])
    dk = tl.dot(ds.to(q.dtype), q, dk, input_precision="ieee")
    return dk, dv


@triton.jit
def add_queries(
    dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key, first, n, m, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, DIAGONAL: tl.constexpr,
):  # fmt: skip
    """Add what the BM queries of one head from `first` on give to the keys `key`, whose K and V are k and v.

    DIAGONAL: some of the pairs are forbidden, as query i sees key j <= i + m - n. Rows >= n need no mask: their Q, dO,
    LSE and delta read 0, so they add 0. Keys >= m fill rows of dk and dv that the caller does not store.
    """
    row = first + tl.arange(0, BM)
    q = load_rows(q_head, stride_qn, first, n, D, BM)
    lse = tl.load(lse_head + row, mask=row < n, other=0.0)
    scores = tl.dot(k, tl.trans(q), input_precision="ieee")  # [BN, BM], transposed
    p = tl.exp2(scores * scale_log2 - lse[None, :])
    if DIAGONAL:
        p = tl.where(key[:, None] <= row[None, :] + (m - n), p, 0.0)
    do = load_rows(do_head, stride_don, first, n, D, BM)
    delta = tl.load(delta_head + row, mask=row < n, other=0.0)
    return add_to_dk_dv(dk, dv, k, v, q, do, p, delta)


@triton.jit
def add_to_dq(dq, k, v, do, p, delta):
    """Add one pair of tiles: k and v are [D, BN] transposed, do and dq [BM, D], p [BM, BN], delta [BM]."""
    dp = tl.dot(do, v, input_precision="ieee")
    ds = p * (dp - delta[:, None])
    return tl.dot(ds.to(k.dtype), tl.trans(k), dq, input_precision="ieee")
