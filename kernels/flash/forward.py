"""Triton forward kernel of flash attention.

In: Q [b,h,n,d_h], K and V [b,h_kv,m,d_h] by pointer and strides. Out: O [b,h,n,d_h] and, on request, LSE [b,h,n].
One program owns BM query rows of one head and walks over the keys in tiles of BN (README.md, "Forward").
"""

import triton
import triton.language as tl


@triton.jit
def head_start(pointer, batch, head, stride_batch, stride_head):
    """The address of one head's first row, in 64 bits: b*h*n*d_h may pass 2**31."""
    return pointer + tl.cast(batch, tl.int64) * stride_batch + tl.cast(head, tl.int64) * stride_head


@triton.jit
def visible_keys(first_row, n, m, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr):
    """(full, stop): every row of the tile sees all keys below `full`, a multiple of BN; no row sees `stop` or above."""
    if CAUSAL:
        seen_by_first = tl.maximum(tl.minimum(first_row + 1 + m - n, m), 0)
        stop = tl.minimum(first_row + BM + m - n, m)
    else:
        seen_by_first = m
        stop = m
    return seen_by_first // BN * BN, stop


@triton.jit
def allowed_pairs(row, key, n, m, CAUSAL: tl.constexpr):
    """The mask [BM, BN] of existing keys and, if causal, of keys j <= i + m - n."""
    allowed = key[None, :] < m
    if CAUSAL:
        allowed = allowed & (key[None, :] <= row[:, None] + (m - n))
    return allowed


@triton.jit
def _attend(
    acc, row_max, row_sum, q, k_head, v_head, stride_kn, stride_vn, row, start, stop, n, m, scale_log2,
    D: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Online softmax over the key tiles in [start, stop); only MASKED tiles pay for comparisons."""
    width = tl.arange(0, D)
    column = tl.arange(0, BN)
    for first in range(start, stop, BN):
        k_tile = k_head + tl.cast(first, tl.int64) * stride_kn + (width[:, None] + column[None, :] * stride_kn)
        v_tile = v_head + tl.cast(first, tl.int64) * stride_vn + (column[:, None] * stride_vn + width[None, :])
        key = first + column
        k = tl.load(k_tile, mask=key[None, :] < m, other=0.0) if MASKED else tl.load(k_tile)  # [D, BN]
        scores = tl.dot(q, k, input_precision="ieee")  # [BM, BN]
        if MASKED:
            scores = tl.where(allowed_pairs(row, key, n, m, CAUSAL), scores, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(scores, 1) * scale_log2)
        shift = new_max
        if MASKED and CAUSAL:
            # A row without any key so far has new_max = -inf, and -inf - -inf would be NaN.
            shift = tl.where(new_max == float("-inf"), 0.0, new_max)
        p = tl.exp2(scores * scale_log2 - shift[:, None])
        decay = tl.exp2(row_max - shift)
        row_sum = row_sum * decay + tl.sum(p, 1)
        acc = acc * decay[:, None]
        v = tl.load(v_tile, mask=key[:, None] < m, other=0.0) if MASKED else tl.load(v_tile)  # [BN, D]
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision="ieee")
        row_max = new_max
    return acc, row_max, row_sum


@triton.jit
def forward_kernel(
    q_ptr, k_ptr, v_ptr, o_ptr, lse_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_ob, stride_oh, stride_on,
    heads, group, n, m, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, SAVE_LSE: tl.constexpr,
):  # fmt: skip
    """O and LSE (base 2, +inf for a row without keys) of one tile. Grid: (ceil(n/BM), b*heads).

    `group` is h / h_kv; `scale_log2` is log2(e)/sqrt(d_h); `lse_ptr` is unused unless SAVE_LSE.
    """
    first_row = tl.program_id(0) * BM
    batch = tl.program_id(1) // heads
    head = tl.program_id(1) % heads
    q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
    o_head = head_start(o_ptr, batch, head, stride_ob, stride_oh)
    k_head = head_start(k_ptr, batch, head // group, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, head // group, stride_vb, stride_vh)

    local = tl.arange(0, BM)
    width = tl.arange(0, D)
    row = first_row + local
    q_tile = q_head + tl.cast(first_row, tl.int64) * stride_qn + (local[:, None] * stride_qn + width[None, :])
    q = tl.load(q_tile, mask=row[:, None] < n, other=0.0)  # [BM, D]
    acc = tl.zeros([BM, D], tl.float32)
    row_max = tl.full([BM], float("-inf"), tl.float32)
    row_sum = tl.zeros([BM], tl.float32)

    full, stop = visible_keys(first_row, n, m, BM, BN, CAUSAL)
    acc, row_max, row_sum = _attend(
        acc, row_max, row_sum, q, k_head, v_head, stride_kn, stride_vn, row, 0, full, n, m, scale_log2,
        D, BN, CAUSAL, False,
    )  # fmt: skip
    acc, row_max, row_sum = _attend(
        acc, row_max, row_sum, q, k_head, v_head, stride_kn, stride_vn, row, full, stop, n, m, scale_log2,
        D, BN, CAUSAL, True,
    )  # fmt: skip

    empty = row_sum == 0.0
    row_sum = tl.where(empty, 1.0, row_sum)
    o = acc / row_sum[:, None]
    o_tile = o_head + tl.cast(first_row, tl.int64) * stride_on + (local[:, None] * stride_on + width[None, :])
    tl.store(o_tile, o.to(o_ptr.dtype.element_ty), mask=row[:, None] < n)
    if SAVE_LSE:
        lse = tl.where(empty, float("inf"), row_max + tl.log2(row_sum))
        tl.store(lse_ptr + tl.cast(tl.program_id(1), tl.int64) * n + row, lse, mask=row < n)
