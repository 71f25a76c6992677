"""Triton backward kernels of the window family: dK and dV, then dQ.

In: Q, K, V, dO by pointer and strides, LSE and delta [b,h,n] in fp32, a launch's integers. Out: dQ, dK, dV.
Scores are computed again from LSE in both kernels, so no sum crosses programs and results are deterministic.
"""

import triton
import triton.language as tl

from tfcost_kernels.common.gradients import add_to_dk_dv, add_to_dq
from tfcost_kernels.common.rows import head_start
from tfcost_kernels.window.ranges import (
    class_keys,
    class_rows,
    elements,
    query_rows,
    sees,
    split_tiles,
    tile_start,
    token_offsets,
    visible_keys,
    visible_rows,
)


@triton.jit
def _accumulate_dk_dv(
    dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key, tiles, rows, shift, w, g,
    scale_log2,
    D: tl.constexpr, BM: tl.constexpr, CAUSAL: tl.constexpr, PATTERN: tl.constexpr, LAYOUT: tl.constexpr,
    MASKED: tl.constexpr,
):  # fmt: skip
    """Add one head's masked or unmasked tiles to dK and dV; `rows` is (start, step, low, high, n) of the class."""
    row_start, step, low, high, n = rows
    local = tl.arange(0, BM)
    for number in range(tiles[4] if MASKED else tiles[3]):
        first = tile_start(number, tiles, BM, PATTERN, MASKED)
        start = row_start + step * first
        offset = token_offsets(local, start, step, n, LAYOUT, MASKED)
        start = tl.cast(start, tl.int64)
        q = tl.load(q_head + elements(start, offset, stride_qn, D))  # [BM, D]
        lse = tl.load(lse_head + start + offset)
        scores = tl.dot(k, tl.trans(q), input_precision="ieee")  # [BN, BM], transposed
        p = tl.exp2(scores * scale_log2 - lse[None, :])
        if MASKED:
            row = first + local
            seen = sees((row + shift)[None, :], key[:, None], w, g, CAUSAL, PATTERN)
            p = tl.where(seen & ((row >= low) & (row < high))[None, :], p, 0.0)
        do = tl.load(do_head + elements(start, offset, stride_don, D))  # [BM, D]
        delta = tl.load(delta_head + start + offset)
        dk, dv = add_to_dk_dv(dk, dv, k, v, q, do, p, delta)
    return dk, dv


@triton.jit
def dk_dv_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr, dk_part_ptr, dv_part_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_dob, stride_doh, stride_don,
    stride_dkb, stride_dkh, stride_dkn, stride_dvb, stride_dvh, stride_dvn,
    kv_heads, group, n, m, shift, period, lead, key_start, least, tail, w, g, scale, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, PATTERN: tl.constexpr,
    LAYOUT: tl.constexpr, CARRY: tl.constexpr,
):  # fmt: skip
    """DK and dV of BN keys, summed over the `group` heads that share them. Grid: (classes, b*kv_heads, key tiles).

    With CARRY the sums go on from an earlier launch's: `dk_part_ptr` and `dv_part_ptr`, fp32, strides of dK and dV.
    """
    index = tl.program_id(0)
    batch = tl.program_id(1) // kv_heads
    kv_head = tl.program_id(1) % kv_heads
    step, key_start, end, high, sure, most = class_keys(index, m, period, key_start, least, tail, LAYOUT)
    row_start, row_low, sure_low = class_rows(index, period, lead, LAYOUT)

    first = tl.program_id(2) * BN
    local = tl.arange(0, BN)
    key = first + local
    exists = (key < high)[:, None]
    start = key_start + step * first
    offset = token_offsets(local, start, step, m, LAYOUT, False)
    start = tl.cast(start, tl.int64)
    k_tile = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh) + elements(start, offset, stride_kn, D)
    v_tile = head_start(v_ptr, batch, kv_head, stride_vb, stride_vh) + elements(start, offset, stride_vn, D)
    k = tl.load(k_tile, mask=exists, other=0.0)  # [BN, D]
    v = tl.load(v_tile, mask=exists, other=0.0)
    dk_tile = elements(start, offset, stride_dkn, D)
    dv_tile = elements(start, offset, stride_dvn, D)
    if CARRY:
        dk_part = head_start(dk_part_ptr, batch, kv_head, stride_dkb, stride_dkh)
        dv_part = head_start(dv_part_ptr, batch, kv_head, stride_dvb, stride_dvh)
        dk = tl.load(dk_part + dk_tile, mask=exists, other=0.0)
        dv = tl.load(dv_part + dv_tile, mask=exists, other=0.0)
    else:
        dk = tl.zeros([BN, D], tl.float32)
        dv = tl.zeros([BN, D], tl.float32)

    low, stop, full_low, full_high = visible_rows(
        first, shift, w, g, sure_low, sure - shift, most - shift, BN, CAUSAL, PATTERN
    )
    # Global queries see every key; if causal, they see no more than the others.
    reach = tl.maximum(g - shift, 0) if PATTERN == "global" and not CAUSAL else 0
    tiles = split_tiles(low, stop, full_low, full_high, reach, BM)
    for member in range(group):
        head = kv_head * group + member
        q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
        do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh)
        flat_head = tl.cast(tl.program_id(1) * group + member, tl.int64) * n
        for masked in tl.static_range(2):
            dk, dv = _accumulate_dk_dv(
                dk, dv, k, v, q_head, do_head, lse_ptr + flat_head, delta_ptr + flat_head, stride_qn, stride_don, key,
                tiles, (row_start, step, row_low, end - shift, n), shift, w, g, scale_log2,
                D, BM, CAUSAL, PATTERN, LAYOUT, masked == 1,
            )  # fmt: skip

    dk = (dk * scale).to(dk_ptr.dtype.element_ty)
    tl.store(head_start(dk_ptr, batch, kv_head, stride_dkb, stride_dkh) + dk_tile, dk, mask=exists)
    dv = dv.to(dv_ptr.dtype.element_ty)
    tl.store(head_start(dv_ptr, batch, kv_head, stride_dvb, stride_dvh) + dv_tile, dv, mask=exists)


@triton.jit
def _accumulate_dq(
    dq, q, do, lse, delta, k_head, v_head, stride_kn, stride_vn, position, tiles, keys, w, g, scale_log2,
    D: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, PATTERN: tl.constexpr, LAYOUT: tl.constexpr,
    MASKED: tl.constexpr,
):  # fmt: skip
    """Add the masked or the unmasked tiles to dQ; `keys` is (start, step, high, m) of the class."""
    key_start, step, high, m = keys
    width = tl.arange(0, D)
    column = tl.arange(0, BN)
    for number in range(tiles[4] if MASKED else tiles[3]):
        first = tile_start(number, tiles, BN, PATTERN, MASKED)
        start = key_start + step * first
        offset = token_offsets(column, start, step, m, LAYOUT, MASKED)
        start = tl.cast(start, tl.int64)
        k = tl.load(k_head + start * stride_kn + (width[:, None] + offset[None, :] * stride_kn))  # [D, BN]
        v = tl.load(v_head + start * stride_vn + (width[:, None] + offset[None, :] * stride_vn))
        scores = tl.dot(q, k, input_precision="ieee")  # [BM, BN]
        p = tl.exp2(scores * scale_log2 - lse[:, None])
        if MASKED:
            key = first + column
            seen = sees(position[:, None], key[None, :], w, g, CAUSAL, PATTERN)
            if not CAUSAL:
                seen = seen & (key[None, :] < high)
            p = tl.where(seen, p, 0.0)
        dq = add_to_dq(dq, k, v, do, p, delta)
    return dq


@triton.jit
def dq_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dq_ptr, part_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_dob, stride_doh, stride_don,
    stride_dqb, stride_dqh, stride_dqn,
    heads, group, n, m, shift, period, lead, key_start, least, tail, w, g, scale, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, PATTERN: tl.constexpr,
    LAYOUT: tl.constexpr, CARRY: tl.constexpr,
):  # fmt: skip
    """DQ of BM rows of one class of one head. Grid: (classes, b*heads, row tiles).

    With CARRY the sum goes on from an earlier launch's: `part_ptr`, fp32, strides of dQ.
    """
    index = tl.program_id(0)
    batch = tl.program_id(1) // heads
    head = tl.program_id(1) % heads
    step, key_start, end, high, sure, most = class_keys(index, m, period, key_start, least, tail, LAYOUT)
    row_start, row_low, _ = class_rows(index, period, lead, LAYOUT)
    k_head = head_start(k_ptr, batch, head // group, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, head // group, stride_vb, stride_vh)

    first = tl.program_id(2) * BM
    row, exists, start, offset = query_rows(first, row_start, step, row_low, end - shift, n, BM, LAYOUT)
    q_tile = head_start(q_ptr, batch, head, stride_qb, stride_qh) + elements(start, offset, stride_qn, D)
    do_tile = head_start(do_ptr, batch, head, stride_dob, stride_doh) + elements(start, offset, stride_don, D)
    dq_tile = elements(start, offset, stride_dqn, D)
    q = tl.load(q_tile, mask=exists[:, None], other=0.0)
    do = tl.load(do_tile, mask=exists[:, None], other=0.0)
    flat_row = tl.cast(tl.program_id(1), tl.int64) * n + start + offset
    lse = tl.load(lse_ptr + flat_row, mask=exists, other=0.0)
    delta = tl.load(delta_ptr + flat_row, mask=exists, other=0.0)
    if CARRY:
        part = head_start(part_ptr, batch, head, stride_dqb, stride_dqh)
        dq = tl.load(part + dq_tile, mask=exists[:, None], other=0.0)
    else:
        dq = tl.zeros([BM, D], tl.float32)

    low, stop, full_low, full_high = visible_keys(first + shift, w, g, sure, most, BM, CAUSAL, PATTERN)
    tiles = split_tiles(low, stop, full_low, full_high, g if PATTERN == "global" else 0, BN)
    for masked in tl.static_range(2):
        dq = _accumulate_dq(
            dq, q, do, lse, delta, k_head, v_head, stride_kn, stride_vn, row + shift, tiles,
            (key_start, step, high, m), w, g, scale_log2, D, BN, CAUSAL, PATTERN, LAYOUT, masked == 1,
        )  # fmt: skip

    dq = (dq * scale).to(dq_ptr.dtype.element_ty)
    tl.store(head_start(dq_ptr, batch, head, stride_dqb, stride_dqh) + dq_tile, dq, mask=exists[:, None])
