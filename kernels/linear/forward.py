"""Triton forward kernel of linear attention: the output of a tile of query rows.

In: Q, K, V by pointer and strides, the states from before each segment (full: of all keys). Out: O [b,h,n,d_h] and, for
the backward pass, the normaliser of each row [b,h,n] in fp32 (README.md, "Forward").
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.features import (
    NARROW,
    feature,
    load_key_sum,
    load_rows,
    load_rows_or_last,
    load_state,
    state_offset,
    store_rows,
)


@triton.jit
def output_kernel(
    q_ptr, k_ptr, v_ptr, states_ptr, o_ptr, norm_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_ob, stride_oh, stride_on, heads, group, n, epsilon,
    MAP: tl.constexpr, D: tl.constexpr, R: tl.constexpr, STEP: tl.constexpr, SEGMENT: tl.constexpr,
    CAUSAL: tl.constexpr, NORMALISE: tl.constexpr, SAVE: tl.constexpr,
):  # fmt: skip
    """O and the normalisers of R rows. Grid: (ceil(n/SEGMENT), SEGMENT/R, b*heads).

    `group` is h / h_kv. `states_ptr` holds a state per segment if CAUSAL, else one; K and V are unused unless
    CAUSAL, `norm_ptr` unless SAVE.
    """
    batch = tl.program_id(2) // heads
    head = tl.program_id(2) % heads
    begin = tl.program_id(0) * SEGMENT
    first_row = begin + tl.program_id(1) * R
    row = first_row + tl.arange(0, R)
    index = tl.program_id(2) // group
    if CAUSAL:
        index = index * tl.num_programs(0) + tl.program_id(0)
    start = states_ptr + state_offset(index, D)

    q = load_rows(head_start(q_ptr, batch, head, stride_qb, stride_qh), stride_qn, first_row, n, D, R)
    state = load_state(start, D)  # [D, D]: values by keys
    q = feature(q, MAP).to(q.dtype)  # [R, D]
    o = tl.dot(q, tl.trans(state), input_precision="ieee")
    if NORMALISE:
        # On the tensor cores too: there, φ(q) need not be computed once more for a sum along its rows.
        keys = tl.where(tl.arange(0, NARROW)[:, None] == 0, load_key_sum(start, D)[None, :], 0.0)
        norm = tl.sum(tl.dot(q, tl.trans(keys), input_precision="ieee"), 1) + epsilon
    if CAUSAL:
        k_head = head_start(k_ptr, batch, head // group, stride_kb, stride_kh)
        v_head = head_start(v_ptr, batch, head // group, stride_vb, stride_vh)
        # Keys from n on are seen by queries from n on, which are not stored.
        for first in range(begin, first_row + R, STEP):
            k = load_rows_or_last(k_head, stride_kn, first, n, D, STEP)
            k = feature(k, MAP).to(k.dtype)  # [STEP, D]
            v = load_rows_or_last(v_head, stride_vn, first, n, D, STEP)
            scores = tl.dot(q, tl.trans(k), input_precision="ieee")  # [R, STEP]
            scores = tl.where((row - first)[:, None] >= tl.arange(0, STEP)[None, :], scores, 0.0)
            if NORMALISE:
                norm += tl.sum(scores, 1)
            o = tl.dot(scores.to(v.dtype), v, o, input_precision="ieee")
    if NORMALISE:
        o = o * (1.0 / norm)[:, None]
        if SAVE:
            tl.store(norm_ptr + tl.cast(tl.program_id(2), tl.int64) * n + row, norm, mask=row < n)
    store_rows(head_start(o_ptr, batch, head, stride_ob, stride_oh), stride_on, first_row, n, o, D, R)
