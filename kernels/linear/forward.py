"""Triton forward kernel of linear attention: the output of one segment of query rows.

In: Q, K, V by pointer and strides, the states from before the segment (full: of all keys). Out: O [b,h,n,d_h] and, for
the backward pass, the normaliser of each row [b,h,n] in fp32 (README.md, "Forward").
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.features import feature, load_columns, load_rows, state_start, store_rows


@triton.jit
def output_kernel(
    q_ptr, k_ptr, v_ptr, states_ptr, o_ptr, norm_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_ob, stride_oh, stride_on, heads, group, n, epsilon,
    MAP: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, SEGMENT: tl.constexpr,
    CAUSAL: tl.constexpr, NORMALISE: tl.constexpr, SAVE: tl.constexpr,
):  # fmt: skip
    """W columns of O, and the normalisers, of one segment's rows. Grid: (D/W, ceil(n/SEGMENT), b*heads).

    `group` is h / h_kv. `states_ptr` holds a state per segment if CAUSAL, else one; K and V are unused unless CAUSAL,
    `norm_ptr` unless SAVE.
    """
    batch = tl.program_id(2) // heads
    head = tl.program_id(2) % heads
    first_column = tl.program_id(0) * W
    q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
    k_head = head_start(k_ptr, batch, head // group, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, head // group, stride_vb, stride_vh) + first_column
    o_head = head_start(o_ptr, batch, head, stride_ob, stride_oh) + first_column
    flat = tl.cast(tl.program_id(2), tl.int64) * n

    index = tl.program_id(2) // group
    if CAUSAL:
        index = index * tl.num_programs(1) + tl.program_id(1)
    start = state_start(states_ptr, index, D)
    width = tl.arange(0, D)
    state = tl.load(start + (width[:, None] * D + (first_column + tl.arange(0, W))[None, :]))  # [D, W]
    keys = tl.load(start + D * D + width)
    if not CAUSAL:
        state = state.to(q_ptr.dtype.element_ty)

    local = tl.arange(0, R)
    begin = tl.program_id(1) * SEGMENT
    for first in range(begin, tl.minimum(begin + SEGMENT, n), R):
        seen = state.to(q_ptr.dtype.element_ty)
        seen_keys = keys
        if CAUSAL:
            # The chunk's keys join the state before its queries are loaded: all at once would not fit in registers.
            k = feature(load_columns(k_head, stride_kn, first, n, D, R), MAP).to(seen.dtype)  # [D, R]
            v = load_rows(v_head, stride_vn, first, n, W, R)  # [R, W]
            state = tl.dot(k, v, state, input_precision="ieee")
            if NORMALISE:
                keys += tl.sum(k.to(tl.float32), 1)
        q = feature(load_rows(q_head, stride_qn, first, n, D, R), MAP)  # [R, D]
        norm = tl.sum(q * seen_keys[None, :], 1) + epsilon if NORMALISE else 1.0
        q = q.to(seen.dtype)
        o = tl.dot(q, seen, input_precision="ieee")  # [R, W]
        if CAUSAL:
            scores = tl.dot(q, k, input_precision="ieee")
            scores = tl.where(local[:, None] >= local[None, :], scores, 0.0)
            if NORMALISE:
                norm += tl.sum(scores, 1)
            o = tl.dot(scores.to(v.dtype), v, o, input_precision="ieee")
        if NORMALISE:
            o = o * (1.0 / norm)[:, None]
        store_rows(o_head, stride_on, first, n, o, W, R)
        if SAVE:  # noqa: SIM102  (a constexpr and a run-time value)
            # Every slice has the normaliser; the first one writes it.
            if tl.program_id(0) == 0:
                tl.store(norm_ptr + flat + first + local, norm, mask=first + local < n)
