"""Triton forward kernel of gather attention.

In: Q [b,h,n,d_h], K and V [b,h_kv,m,d_h] by pointer and strides, the index [b,h_kv,tiles,listed], contiguous.
Out: O [b,h,n,d_h] and, on request, LSE [b,h,n]. One program owns B queries of one head and walks over their list.
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start, load_rows, store_rows
from tfcost_kernels.common.softmax import finished, no_keys_yet


@triton.jit
def list_start(index_ptr, batch, kv_head, kv_heads, tile, tiles, listed):
    """The address of one query tile's list."""
    return index_ptr + ((tl.cast(batch, tl.int64) * kv_heads + kv_head) * tiles + tile) * listed


@triton.jit
def visible(key, row, n, m, CAUSAL: tl.constexpr):
    """Which keys exist and, if causal, come no later than the row; `key` and `row` broadcast against each other.

    Keys of a negative or too large block number do not exist, so such an entry of a list selects nothing.
    """
    seen = (key >= 0) & (key < m)
    if CAUSAL:
        seen = seen & (key <= row + (m - n))
    return seen


@triton.jit
def forward_kernel(
    q_ptr, k_ptr, v_ptr, index_ptr, o_ptr, lse_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_ob, stride_oh, stride_on,
    heads, group, n, m, tiles, listed, scale_log2,
    D: tl.constexpr, B: tl.constexpr, CAUSAL: tl.constexpr, SAVE_LSE: tl.constexpr,
):  # fmt: skip
    """O and LSE (base 2, +inf for a row without keys) of one query tile. Grid: (tiles, b*heads)."""
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
    acc, row_max, row_sum = no_keys_yet(B, D)
    for entry in range(listed):
        first = tl.load(blocks + entry) * B
        key = first + local
        exists = (key >= 0) & (key < m)
        k_tile = k_head + tl.cast(first, tl.int64) * stride_kn + (width[:, None] + local[None, :] * stride_kn)
        k = tl.load(k_tile, mask=exists[None, :], other=0.0)  # [D, B]
        scores = tl.dot(q, k, input_precision="ieee") * scale_log2
        scores = tl.where(visible(key[None, :], row[:, None], n, m, CAUSAL), scores, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(scores, 1))
        # A row without any key so far has new_max = -inf, and -inf - -inf would be NaN.
        shift = tl.where(new_max == float("-inf"), 0.0, new_max)
        p = tl.exp2(scores - shift[:, None])
        decay = tl.exp2(row_max - shift)
        row_sum = row_sum * decay + tl.sum(p, 1)
        acc = acc * decay[:, None]
        v_tile = v_head + tl.cast(first, tl.int64) * stride_vn + (local[:, None] * stride_vn + width[None, :])
        v = tl.load(v_tile, mask=exists[:, None], other=0.0)  # [B, D]
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision="ieee")
        row_max = new_max

    o, lse = finished(acc, row_max, row_sum)
    store_rows(head_start(o_ptr, batch, head, stride_ob, stride_oh), stride_on, tile * B, n, o, D, B)
    if SAVE_LSE:
        tl.store(lse_ptr + tl.cast(tl.program_id(1), tl.int64) * n + row, lse, mask=row < n)
