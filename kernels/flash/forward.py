"""Triton forward kernel of flash attention.

In: Q [b,h,n,d_h], K and V [b,h_kv,m,d_h] by pointer and strides. Out: O [b,h,n,d_h] and, on request, LSE [b,h,n].
One program owns BM query rows of one head and walks over the keys in tiles of BN (README.md, "Forward").
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start, load_columns, load_rows, store_rows
from tfcost_kernels.common.softmax import finished, no_keys_yet, weigh


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
    for first in range(start, stop, BN):
        k = load_columns(k_head, stride_kn, first, m, D, BN, MASKED)
        scores = tl.dot(q, k, input_precision="ieee")  # [BM, BN]
        if MASKED:
            key = first + tl.arange(0, BN)
            scores = tl.where(allowed_pairs(row, key, n, m, CAUSAL), scores, float("-inf"))
        p, acc, row_max, row_sum = weigh(acc, row_max, row_sum, scores, scale_log2, MASKED and CAUSAL)
        v = load_rows(v_head, stride_vn, first, m, D, BN, MASKED)
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision="ieee")
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
    k_head = head_start(k_ptr, batch, head // group, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, head // group, stride_vb, stride_vh)
    row = first_row + tl.arange(0, BM)
    q = load_rows(head_start(q_ptr, batch, head, stride_qb, stride_qh), stride_qn, first_row, n, D, BM)
    acc, row_max, row_sum = no_keys_yet(BM, D)

    full, stop = visible_keys(first_row, n, m, BM, BN, CAUSAL)
    acc, row_max, row_sum = _attend(
        acc, row_max, row_sum, q, k_head, v_head, stride_kn, stride_vn, row, 0, full, n, m, scale_log2,
        D, BN, CAUSAL, False,
    )  # fmt: skip
    acc, row_max, row_sum = _attend(
        acc, row_max, row_sum, q, k_head, v_head, stride_kn, stride_vn, row, full, stop, n, m, scale_log2,
        D, BN, CAUSAL, True,
    )  # fmt: skip

    o, lse = finished(acc, row_max, row_sum)
    store_rows(head_start(o_ptr, batch, head, stride_ob, stride_oh), stride_on, first_row, n, o, D, BM)
    if SAVE_LSE:
        tl.store(lse_ptr + tl.cast(tl.program_id(1), tl.int64) * n + row, lse, mask=row < n)
