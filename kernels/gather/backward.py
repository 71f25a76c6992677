"""Triton backward kernels of gather attention: dQ, then dK and dV.

In: Q, K, V, dO by pointer and strides, the index, LSE and delta [b,h,n] in fp32. Out: dQ; and dK, dV [b,h_kv,m,d_h] in
fp32, to which every query tile adds atomically (README.md, "Backward").
"""

import triton
import triton.language as tl

from tfcost_kernels.common.gradients import add_queries, add_to_dq
from tfcost_kernels.common.rows import head_start, load_rows, store_rows
from tfcost_kernels.gather.forward import list_start, visible


@triton.jit
def dq_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, index_ptr, lse_ptr, delta_ptr, dq_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_dob, stride_doh, stride_don,
    stride_dqb, stride_dqh, stride_dqn,
    heads, group, n, m, tiles, listed, scale, scale_log2,
    D: tl.constexpr, B: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """DQ of one query tile. Grid: (tiles, b*heads)."""
    tile = tl.program_id(0)
    batch = tl.program_id(1) // heads
    head = tl.program_id(1) % heads
    kv_head = head // group
    k_head = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, kv_head, stride_vb, stride_vh)
    blocks = list_start(index_ptr, batch, kv_head, heads // group, tile, tiles, listed)

    local = tl.arange(0, B)
    width = tl.arange(0, D)
    row = tile * B + local
    q = load_rows(head_start(q_ptr, batch, head, stride_qb, stride_qh), stride_qn, tile * B, n, D, B)
    do = load_rows(head_start(do_ptr, batch, head, stride_dob, stride_doh), stride_don, tile * B, n, D, B)
    flat_row = tl.cast(tl.program_id(1), tl.int64) * n + row
    lse = tl.load(lse_ptr + flat_row, mask=row < n, other=0.0)
    delta = tl.load(delta_ptr + flat_row, mask=row < n, other=0.0)
    dq = tl.zeros([B, D], tl.float32)
    for entry in range(listed):
        first = tl.load(blocks + entry) * B
        key = first + local
        exists = (key >= 0) & (key < m)
        k_tile = k_head + tl.cast(first, tl.int64) * stride_kn + (width[:, None] + local[None, :] * stride_kn)
        v_tile = v_head + tl.cast(first, tl.int64) * stride_vn + (width[:, None] + local[None, :] * stride_vn)
        k = tl.load(k_tile, mask=exists[None, :], other=0.0)  # [D, B]
        v = tl.load(v_tile, mask=exists[None, :], other=0.0)
        scores = tl.dot(q, k, input_precision="ieee")  # [B, B]
        p = tl.exp2(scores * scale_log2 - lse[:, None])
        p = tl.where(visible(key[None, :], row[:, None], n, m, CAUSAL), p, 0.0)
        dq = add_to_dq(dq, k, v, do, p, delta)

    dq_head = head_start(dq_ptr, batch, head, stride_dqb, stride_dqh)
    store_rows(dq_head, stride_dqn, tile * B, n, dq * scale, D, B)


@triton.jit
def dk_dv_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, index_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_dob, stride_doh, stride_don,
    kv_heads, group, n, m, tiles, listed, scale, scale_log2,
    D: tl.constexpr, B: tl.constexpr, BM: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """Add to dK and dV what the queries of one tile, in all `group` heads, give to each block of their list.

    Grid: (tiles, b*kv_heads). The heads are summed on chip, so each listed block is added to memory once per tile.
    """
    tile = tl.program_id(0)
    batch = tl.program_id(1) // kv_heads
    kv_head = tl.program_id(1) % kv_heads
    k_head = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, kv_head, stride_vb, stride_vh)
    blocks = list_start(index_ptr, batch, kv_head, kv_heads, tile, tiles, listed)
    local = tl.arange(0, B)
    width = tl.arange(0, D)
    for entry in range(listed):
        first = tl.load(blocks + entry) * B
        key = first + local
        exists = (key >= 0) & (key < m)
        start = tl.cast(first, tl.int64)
        k_tile = k_head + start * stride_kn + (local[:, None] * stride_kn + width[None, :])
        v_tile = v_head + start * stride_vn + (local[:, None] * stride_vn + width[None, :])
        k = tl.load(k_tile, mask=exists[:, None], other=0.0)
        v = tl.load(v_tile, mask=exists[:, None], other=0.0)
        dk = tl.zeros([B, D], tl.float32)
        dv = tl.zeros([B, D], tl.float32)
        for member in range(group):
            head = kv_head * group + member
            q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
            do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh)
            flat_head = tl.cast(tl.program_id(1) * group + member, tl.int64)
            lse_head = lse_ptr + flat_head * n
            delta_head = delta_ptr + flat_head * n
            for part in range(0, B, BM):
                dk, dv = add_queries(
                    dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key, tile * B + part,
                    n, m, scale_log2, D, BM, CAUSAL,
                )  # fmt: skip
        block = (tl.cast(tl.program_id(1), tl.int64) * m + start) * D
        place = local[:, None] * D + width[None, :]
        tl.atomic_add(dk_ptr + block + place, dk * scale, mask=exists[:, None], sem="relaxed")
        tl.atomic_add(dv_ptr + block + place, dv, mask=exists[:, None], sem="relaxed")
