"""Triton forward kernel of the window family.

In: Q [b,h,n,d_h], K and V [b,h_kv,m,d_h] by pointer and strides, a launch's integers. Out: O [b,h,n,d_h] and, on
request, LSE [b,h,n]. A program owns BM rows of one class of one head and visits the key tiles that they see.
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.common.softmax import finished, no_keys_yet, weigh
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
)


@triton.jit
def _attend(
    acc, row_max, row_sum, q, k_head, v_head, stride_kn, stride_vn, position, tiles, keys, w, g, scale_log2,
    D: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, PATTERN: tl.constexpr, LAYOUT: tl.constexpr,
    MASKED: tl.constexpr,
):  # fmt: skip
    """Online softmax over the masked or over the unmasked tiles; `keys` is (start, step, high, m) of the class."""
    key_start, step, high, m = keys
    width = tl.arange(0, D)
    column = tl.arange(0, BN)
    for number in range(tiles[4] if MASKED else tiles[3]):
        first = tile_start(number, tiles, BN, PATTERN, MASKED)
        start = key_start + step * first
        offset = token_offsets(column, start, step, m, LAYOUT, MASKED)
        start = tl.cast(start, tl.int64)
        k = tl.load(k_head + start * stride_kn + (width[:, None] + offset[None, :] * stride_kn))  # [D, BN]
        scores = tl.dot(q, k, input_precision="ieee")  # [BM, BN]
        if MASKED:
            key = first + column
            seen = sees(position[:, None], key[None, :], w, g, CAUSAL, PATTERN)
            if not CAUSAL:
                seen = seen & (key[None, :] < high)
            scores = tl.where(seen, scores, float("-inf"))
        p, acc, row_max, row_sum = weigh(acc, row_max, row_sum, scores, scale_log2, MASKED)
        v = tl.load(v_head + elements(start, offset, stride_vn, D))  # [BN, D]
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision="ieee")
    return acc, row_max, row_sum


@triton.jit
def forward_kernel(
    q_ptr, k_ptr, v_ptr, o_ptr, part_ptr, lse_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_ob, stride_oh, stride_on,
    heads, group, n, m, shift, period, lead, key_start, least, tail, w, g, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, PATTERN: tl.constexpr,
    LAYOUT: tl.constexpr, CARRY: tl.constexpr, SAVE_LSE: tl.constexpr,
):  # fmt: skip
    """O and LSE (base 2, +inf for a row without keys) of one tile. Grid: (classes, b*heads, row tiles).

    With CARRY the softmax goes on from what an earlier launch left in `part_ptr` (O in fp32, strides of O) and LSE.
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
    q_tile = elements(start, offset, stride_qn, D)
    o_tile = elements(start, offset, stride_on, D)
    lse_row = tl.cast(tl.program_id(1), tl.int64) * n + start + offset
    q = tl.load(head_start(q_ptr, batch, head, stride_qb, stride_qh) + q_tile, mask=exists[:, None], other=0.0)
    if CARRY:
        part_head = head_start(part_ptr, batch, head, stride_ob, stride_oh)
        acc = tl.load(part_head + o_tile, mask=exists[:, None], other=0.0)
        lse = tl.load(lse_ptr + lse_row, mask=exists, other=float("inf"))
        row_max = tl.where(lse == float("inf"), float("-inf"), lse)
        row_sum = tl.where(lse == float("inf"), 0.0, 1.0)
    else:
        acc, row_max, row_sum = no_keys_yet(BM, D)

    low, stop, full_low, full_high = visible_keys(first + shift, w, g, sure, most, BM, CAUSAL, PATTERN)
    tiles = split_tiles(low, stop, full_low, full_high, g if PATTERN == "global" else 0, BN)
    for masked in tl.static_range(2):
        acc, row_max, row_sum = _attend(
            acc, row_max, row_sum, q, k_head, v_head, stride_kn, stride_vn, row + shift, tiles,
            (key_start, step, high, m), w, g, scale_log2, D, BN, CAUSAL, PATTERN, LAYOUT, masked == 1,
        )  # fmt: skip

    o, lse = finished(acc, row_max, row_sum)
    o_head = head_start(o_ptr, batch, head, stride_ob, stride_oh)
    tl.store(o_head + o_tile, o.to(o_ptr.dtype.element_ty), mask=exists[:, None])
    if SAVE_LSE:
        tl.store(lse_ptr + lse_row, lse, mask=exists)
