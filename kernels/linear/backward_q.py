"""Triton kernel for the gradient of the queries, and the row sums that the other backward kernels need.

In: Q, K, V, O, dO by pointer and strides, the normalisers [b,h,n], the states that the forward pass used. Out: dQ and
delta [b,h,n]. A program owns a tile of query rows (README.md, "Backward").
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.features import (
    feature,
    load_key_sum,
    load_rows,
    load_rows_or_last,
    load_state,
    slope,
    state_offset,
    store_rows,
)


@triton.jit
def dq_kernel(
    q_ptr, k_ptr, v_ptr, o_ptr, do_ptr, states_ptr, norm_ptr, dq_ptr, delta_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn, stride_vb, stride_vh, stride_vn,
    stride_ob, stride_oh, stride_on, stride_dob, stride_doh, stride_don, stride_dqb, stride_dqh, stride_dqn,
    heads, group, n, MAP: tl.constexpr, D: tl.constexpr, R: tl.constexpr, STEP: tl.constexpr,
    SEGMENT: tl.constexpr, CAUSAL: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """DQ and delta = dO·o/√D of R rows. Grid: (ceil(n/SEGMENT), SEGMENT/R, b*heads).

    `states_ptr` is as in the forward kernel; K and V are unused unless CAUSAL, O, the normalisers and delta unless
    NORMALISE.
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

    do = load_rows(head_start(do_ptr, batch, head, stride_dob, stride_doh), stride_don, first_row, n, D, R)  # [R, D]
    dq = tl.dot(do, load_state(start, D), input_precision="ieee")
    delta = tl.zeros([R], tl.float32)
    if NORMALISE:
        o = load_rows(head_start(o_ptr, batch, head, stride_ob, stride_oh), stride_on, first_row, n, D, R)
        delta = tl.sum(o.to(tl.float32) * do.to(tl.float32), 1)
        dq -= delta[:, None] * load_key_sum(start, D)[None, :]
    if CAUSAL:
        k_head = head_start(k_ptr, batch, head // group, stride_kb, stride_kh)
        v_head = head_start(v_ptr, batch, head // group, stride_vb, stride_vh)
        for first in range(begin, first_row + R, STEP):
            v = load_rows_or_last(v_head, stride_vn, first, n, D, STEP)
            k = load_rows_or_last(k_head, stride_kn, first, n, D, STEP)
            k = feature(k, MAP).to(k.dtype)  # [STEP, D]
            dp = tl.dot(do, tl.trans(v), input_precision="ieee") - delta[:, None]  # [R, STEP]
            dp = tl.where((row - first)[:, None] >= tl.arange(0, STEP)[None, :], dp, 0.0)
            dq = tl.dot(dp.to(k.dtype), k, dq, input_precision="ieee")
    if NORMALISE:
        flat = tl.cast(tl.program_id(2), tl.int64) * n
        share = tl.rsqrt(tl.load(norm_ptr + flat + row, mask=row < n, other=1.0))
        tl.store(delta_ptr + flat + row, delta * share, mask=row < n)
        dq = dq * (share * share)[:, None]
    q = load_rows(head_start(q_ptr, batch, head, stride_qb, stride_qh), stride_qn, first_row, n, D, R)
    dq_head = head_start(dq_ptr, batch, head, stride_dqb, stride_dqh)
    store_rows(dq_head, stride_dqn, first_row, n, dq * slope(q, MAP), D, R)
