"""Triton kernel for the gradient of the queries, and the row sums that the other backward kernels need.

In: Q, K, V, O, dO by pointer and strides, the normalisers [b,h,n], the states that the forward pass used. Out: dQ and
delta [b,h,n]. A program owns one segment of rows and walks through its tiles (README.md, "Backward").
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.features import feature, load_columns, load_rows, slope, state_start, store_rows


@triton.jit
def dq_kernel(
    q_ptr, k_ptr, v_ptr, o_ptr, do_ptr, states_ptr, norm_ptr, dq_ptr, delta_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn, stride_vb, stride_vh, stride_vn,
    stride_ob, stride_oh, stride_on, stride_dob, stride_doh, stride_don, stride_dqb, stride_dqh, stride_dqn,
    heads, group, n, MAP: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, SEGMENT: tl.constexpr,
    CAUSAL: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """W columns of dQ, and delta = dO·o/√D, of one segment's rows. Grid: (D/W, ceil(n/SEGMENT), b*heads).

    `states_ptr` is as in the forward kernel; K and V are unused unless CAUSAL, O and the last two unless NORMALISE.
    """
    batch = tl.program_id(2) // heads
    head = tl.program_id(2) % heads
    first_column = tl.program_id(0) * W
    q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh) + first_column
    k_head = head_start(k_ptr, batch, head // group, stride_kb, stride_kh) + first_column
    v_head = head_start(v_ptr, batch, head // group, stride_vb, stride_vh)
    o_head = head_start(o_ptr, batch, head, stride_ob, stride_oh)
    do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh)
    dq_head = head_start(dq_ptr, batch, head, stride_dqb, stride_dqh) + first_column
    flat = tl.cast(tl.program_id(2), tl.int64) * n

    index = tl.program_id(2) // group
    if CAUSAL:
        index = index * tl.num_programs(1) + tl.program_id(1)
    start = state_start(states_ptr, index, D)
    column = first_column + tl.arange(0, W)
    state = tl.load(start + (column[None, :] * D + tl.arange(0, D)[:, None]))  # [D, W]: transposed, values by keys
    keys = tl.load(start + D * D + column)
    if not CAUSAL:
        state = state.to(q_ptr.dtype.element_ty)

    local = tl.arange(0, R)
    begin = tl.program_id(1) * SEGMENT
    for first in range(begin, tl.minimum(begin + SEGMENT, n), R):
        row = first + local
        seen = state.to(q_ptr.dtype.element_ty)
        seen_keys = keys
        if CAUSAL:
            v = load_columns(v_head, stride_vn, first, n, D, R)  # [D, R]
            k = feature(load_rows(k_head, stride_kn, first, n, W, R), MAP).to(v.dtype)  # [R, W]
            state = tl.dot(v, k, state, input_precision="ieee")
            if NORMALISE:
                keys += tl.sum(k.to(tl.float32), 0)
        do = load_rows(do_head, stride_don, first, n, D, R)  # [R, D]
        delta = tl.zeros([R], tl.float32)
        if NORMALISE:
            o = load_rows(o_head, stride_on, first, n, D, R)
            delta = tl.sum(o.to(tl.float32) * do.to(tl.float32), 1)
        dq = tl.dot(do, seen, input_precision="ieee")  # [R, W]
        if NORMALISE:
            dq -= delta[:, None] * seen_keys[None, :]
        if CAUSAL:
            dp = tl.dot(do, v, input_precision="ieee") - delta[:, None]
            dp = tl.where(local[:, None] >= local[None, :], dp, 0.0)
            dq = tl.dot(dp.to(k.dtype), k, dq, input_precision="ieee")
        if NORMALISE:
            share = tl.rsqrt(tl.load(norm_ptr + flat + row, mask=row < n, other=1.0))
            # Every slice has delta; the first one writes it.
            if tl.program_id(0) == 0:
                tl.store(delta_ptr + flat + row, delta * share, mask=row < n)
            dq = dq * (share * share)[:, None]
        dq = dq * slope(load_rows(q_head, stride_qn, first, n, W, R), MAP)
        store_rows(dq_head, stride_dqn, first, n, dq, W, R)
