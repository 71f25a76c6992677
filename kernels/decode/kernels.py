"""Triton kernels of split-KV decoding: partial attention over a share of the keys, then their combination.

In: Q [b,h,1,d_h], K and V caches [b,h_kv,capacity,d_h] by pointer and strides. Between: O [b,h,splits,d_h] and LSE
[b,h,splits] in fp32. Out: O [b,h,1,d_h] (README.md).
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start


# The cache grows by a key per call: without the hint some lengths would be compiled anew.
@triton.jit(do_not_specialize=["first", "m"])
def partial_kernel(
    q_ptr, k_ptr, v_ptr, part_ptr, lse_ptr,
    stride_qb, stride_qh, stride_kb, stride_kh, stride_kn, stride_vb, stride_vh, stride_vn,
    kv_heads, group, first, m, splits, scale_log2,
    D: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Attention of ROWS query heads over every `splits`-th tile of the keys first..m-1.

    Grid: (b*kv_heads, splits, ceil(group/ROWS)). The heads of one tile share a key/value head, so K and V are read
    once for all of them. LSE is in base 2, and -inf for a program without keys, whose O is 0.
    """
    batch = tl.program_id(0) // kv_heads
    kv_head = tl.program_id(0) % kv_heads
    split = tl.program_id(1)
    k_head = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, kv_head, stride_vb, stride_vh)
    member = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    width = tl.arange(0, D)
    column = tl.arange(0, BN)
    q_group = head_start(q_ptr, batch, kv_head * group, stride_qb, stride_qh)
    q = tl.load(
        q_group + (member[:, None] * stride_qh + width[None, :]), mask=member[:, None] < group, other=0.0
    )  # [ROWS, D]

    acc = tl.zeros([ROWS, D], tl.float32)
    row_max = tl.full([ROWS], float("-inf"), tl.float32)
    row_sum = tl.zeros([ROWS], tl.float32)
    # Counted in tiles, not keys: program and trip then share one index, and their sum is one sum over tiles.
    for tile in range(split, tl.cdiv(m - first, BN), splits):
        start = first + tile * BN
        key = start + column
        k_tile = k_head + tl.cast(start, tl.int64) * stride_kn + (width[:, None] + column[None, :] * stride_kn)
        v_tile = v_head + tl.cast(start, tl.int64) * stride_vn + (column[:, None] * stride_vn + width[None, :])
        k = tl.load(k_tile, mask=key[None, :] < m, other=0.0)  # [D, BN]
        scores = tl.dot(q, k, input_precision="ieee") * scale_log2
        scores = tl.where(key[None, :] < m, scores, float("-inf"))
        # A tile in the loop has a key, so the maximum is finite.
        new_max = tl.maximum(row_max, tl.max(scores, 1))
        p = tl.exp2(scores - new_max[:, None])
        decay = tl.exp2(row_max - new_max)
        row_sum = row_sum * decay + tl.sum(p, 1)
        acc = acc * decay[:, None]
        v = tl.load(v_tile, mask=key[:, None] < m, other=0.0)  # [BN, D]
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision="ieee")
        row_max = new_max

    empty = row_sum == 0.0
    row_sum = tl.where(empty, 1.0, row_sum)
    part = (tl.cast(tl.program_id(0), tl.int64) * group + member) * splits + split
    tl.store(lse_ptr + part, row_max + tl.log2(row_sum), mask=member < group)
    tl.store(part_ptr + (part[:, None] * D + width[None, :]), acc / row_sum[:, None], mask=member[:, None] < group)


@triton.jit
def combine_kernel(part_ptr, lse_ptr, o_ptr, stride_ob, stride_oh, heads, splits, D: tl.constexpr, PARTS: tl.constexpr):
    """O = sum over s of 2^LSE_s O_s / sum over s of 2^LSE_s; 0 without keys. Grid: (b*heads,)."""
    width = tl.arange(0, D)
    flat_head = tl.cast(tl.program_id(0), tl.int64)
    acc = tl.zeros([D], tl.float32)
    high = float("-inf")
    total = 0.0
    for first in range(0, splits, PARTS):
        split = first + tl.arange(0, PARTS)
        part = flat_head * splits + split
        lse = tl.load(lse_ptr + part, mask=split < splits, other=float("-inf"))
        o = tl.load(part_ptr + (part[:, None] * D + width[None, :]), mask=split[:, None] < splits, other=0.0)
        new_high = tl.maximum(high, tl.max(lse, 0))
        # Without any key so far the maximum is -inf, and -inf - -inf would be NaN.
        shift = tl.where(new_high == float("-inf"), 0.0, new_high)
        weight = tl.exp2(lse - shift)
        decay = tl.exp2(high - shift)
        total = total * decay + tl.sum(weight, 0)
        acc = acc * decay + tl.sum(weight[:, None] * o, 0)
        high = new_high
    o = acc / tl.where(total == 0.0, 1.0, total)
    o_head = head_start(o_ptr, tl.program_id(0) // heads, tl.program_id(0) % heads, stride_ob, stride_oh)
    tl.store(o_head + width, o.to(o_ptr.dtype.element_ty))
