"""Triton kernel for the gradients of the keys and values.

In: Q, K, V, dO by pointer and strides, normalisers and delta [b,h,n], the gradients of the states that a segment's keys
and values go into. Out: dK and dV. A program owns a tile of keys (README.md, "Backward").
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
def _scaled_rows(
    q_head, do_head, norm_ptr, delta_ptr, flat, stride_qn, stride_don, first, m,
    MAP: tl.constexpr, D: tl.constexpr, STEP: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """Of STEP queries: u = φ(q)/√D and w = dO/√D [STEP, D], in the type of dO; delta/√D [STEP], 0 unless NORMALISE."""
    u = feature(load_rows_or_last(q_head, stride_qn, first, m, D, STEP), MAP)
    w = load_rows_or_last(do_head, stride_don, first, m, D, STEP)
    row = first + tl.arange(0, STEP)
    exists = row < m  # what is behind the last row counts for nothing
    share = tl.where(exists, 1.0, 0.0)
    delta = tl.zeros([STEP], tl.float32)
    if NORMALISE:
        place = flat + tl.minimum(row, m - 1)
        share = tl.where(exists, tl.rsqrt(tl.load(norm_ptr + place)), 0.0)
        delta = tl.where(exists, tl.load(delta_ptr + place), 0.0)
    u = (u * share[:, None]).to(w.dtype)
    return u, (w.to(tl.float32) * share[:, None]).to(w.dtype), delta


@triton.jit
def dk_dv_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, grads_ptr, norm_ptr, delta_ptr, dk_ptr, dv_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn, stride_vb, stride_vh, stride_vn,
    stride_dob, stride_doh, stride_don, stride_dkb, stride_dkh, stride_dkn, stride_dvb, stride_dvh, stride_dvn,
    kv_heads, group, m, MAP: tl.constexpr, D: tl.constexpr, R: tl.constexpr, STEP: tl.constexpr,
    SEGMENT: tl.constexpr, CAUSAL: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """DK and dV of R keys. Grid: (ceil(m/SEGMENT), SEGMENT/R, b*kv_heads).

    `grads_ptr` holds a state's gradient per segment if CAUSAL, else one. If CAUSAL there are m queries;
    else Q, dO, the normalisers and delta are unused.
    """
    batch = tl.program_id(2) // kv_heads
    kv_head = tl.program_id(2) % kv_heads
    begin = tl.program_id(0) * SEGMENT
    first_key = begin + tl.program_id(1) * R
    key = first_key + tl.arange(0, R)
    index = tl.program_id(2)
    if CAUSAL:
        index = index * tl.num_programs(0) + tl.program_id(0)
    start = grads_ptr + state_offset(index, D)

    k_head = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh)
    v = load_rows(head_start(v_ptr, batch, kv_head, stride_vb, stride_vh), stride_vn, first_key, m, D, R)  # [R, D]
    k = feature(load_rows(k_head, stride_kn, first_key, m, D, R), MAP).to(v.dtype)
    grad = load_state(start, D).to(v.dtype)  # [D, D]: values by keys
    dv = tl.dot(k, tl.trans(grad), input_precision="ieee")
    dk = tl.dot(v, grad, input_precision="ieee")
    if NORMALISE:
        dk -= load_key_sum(start, D)[None, :]
    if CAUSAL:
        for member in range(group):
            head = kv_head * group + member
            q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
            do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh)
            flat = tl.cast(tl.program_id(2) * group + member, tl.int64) * m
            for first in range(begin + tl.program_id(1) * R // STEP * STEP, begin + SEGMENT, STEP):
                u, w, delta = _scaled_rows(
                    q_head, do_head, norm_ptr, delta_ptr, flat, stride_qn, stride_don, first, m,
                    MAP, D, STEP, NORMALISE,
                )  # fmt: skip
                seen = (key - first)[:, None] <= tl.arange(0, STEP)[None, :]
                scores = tl.where(seen, tl.dot(k, tl.trans(u), input_precision="ieee"), 0.0)  # [R, STEP]
                dv = tl.dot(scores.to(w.dtype), w, dv, input_precision="ieee")
                dp = tl.dot(v, tl.trans(w), input_precision="ieee") - delta[None, :]
                dp = tl.where(seen, dp, 0.0)
                dk = tl.dot(dp.to(u.dtype), u, dk, input_precision="ieee")
    store_rows(head_start(dv_ptr, batch, kv_head, stride_dvb, stride_dvh), stride_dvn, first_key, m, dv, D, R)
    dk = dk * slope(load_rows(k_head, stride_kn, first_key, m, D, R), MAP)
    store_rows(head_start(dk_ptr, batch, kv_head, stride_dkb, stride_dkh), stride_dkn, first_key, m, dk, D, R)
