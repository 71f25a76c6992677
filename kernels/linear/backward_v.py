"""Triton kernel for the gradient of the values.

In: Q, K, dO by pointer and strides, normalisers [b,h,n], the gradients of the states that the segment's values go into.
Out: dV. A program owns one segment of values and walks through its tiles, the last one first.
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.features import feature, load_columns, load_rows, state_start, store_rows


@triton.jit
def dv_kernel(
    q_ptr, k_ptr, do_ptr, grads_ptr, norm_ptr, dv_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_dob, stride_doh, stride_don, stride_dvb, stride_dvh, stride_dvn, kv_heads, group, m,
    MAP: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, SEGMENT: tl.constexpr,
    CAUSAL: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """W columns of dV of one segment's values. Grid: (D/W, ceil(m/SEGMENT), b*kv_heads).

    `grads_ptr` holds a state's gradient per segment if CAUSAL, else one. If CAUSAL there are m queries; else Q, dO and
    the normalisers are unused.
    """
    batch = tl.program_id(2) // kv_heads
    kv_head = tl.program_id(2) % kv_heads
    first_column = tl.program_id(0) * W
    k_head = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh)
    dv_head = head_start(dv_ptr, batch, kv_head, stride_dvb, stride_dvh) + first_column

    index = tl.program_id(2)
    if CAUSAL:
        index = index * tl.num_programs(1) + tl.program_id(1)
    start = state_start(grads_ptr, index, D)
    grad = tl.load(start + (tl.arange(0, D)[:, None] * D + (first_column + tl.arange(0, W))[None, :]))  # [D, W]
    if not CAUSAL:
        grad = grad.to(k_ptr.dtype.element_ty)

    local = tl.arange(0, R)
    begin = tl.program_id(1) * SEGMENT
    tiles = tl.cdiv(tl.minimum(SEGMENT, m - begin), R)
    for step in range(tiles):
        first = begin + (tiles - 1 - step) * R
        row = first + local
        k = load_rows(k_head, stride_kn, first, m, D, R)
        k = feature(k, MAP).to(k.dtype)  # [R, D]
        dv = tl.dot(k, grad.to(k.dtype), input_precision="ieee")  # [R, W]
        if CAUSAL:
            for member in range(group):
                head = kv_head * group + member
                q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
                do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh) + first_column
                u = feature(load_columns(q_head, stride_qn, first, m, D, R), MAP)  # [D, R]
                w = load_rows(do_head, stride_don, first, m, W, R)  # [R, W]
                if NORMALISE:
                    flat = tl.cast(tl.program_id(2) * group + member, tl.int64) * m
                    share = tl.rsqrt(tl.load(norm_ptr + flat + row, mask=row < m, other=1.0))
                    u = u * share[None, :]
                    w = (w.to(tl.float32) * share[:, None]).to(k.dtype)
                u = u.to(k.dtype)
                scores = tl.dot(k, u, input_precision="ieee")  # [key, query]
                scores = tl.where(local[None, :] >= local[:, None], scores, 0.0)
                dv = tl.dot(scores.to(w.dtype), w, dv, input_precision="ieee")
                grad = tl.dot(u, w, grad, input_precision="ieee")
        store_rows(dv_head, stride_dvn, first, m, dv, W, R)
