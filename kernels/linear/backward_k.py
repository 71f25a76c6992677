"""Triton kernel for the gradient of the keys.

In: Q, K, V, dO by pointer and strides, normalisers and delta [b,h,n], the gradients of the states that the segment's
keys go into. Out: dK. A program owns one segment of keys and walks through its tiles, the last one first.
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.features import feature, load_columns, load_rows, slope, state_start, store_rows


@triton.jit
def dk_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, grads_ptr, norm_ptr, delta_ptr, dk_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn, stride_vb, stride_vh, stride_vn,
    stride_dob, stride_doh, stride_don, stride_dkb, stride_dkh, stride_dkn, kv_heads, group, m,
    MAP: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, SEGMENT: tl.constexpr,
    CAUSAL: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """W columns of dK of one segment's keys. Grid: (D/W, ceil(m/SEGMENT), b*kv_heads).

    `grads_ptr` holds a state's gradient per segment if CAUSAL, else one. If CAUSAL there are m queries; else Q, dO, the
    normalisers and delta are unused.
    """
    batch = tl.program_id(2) // kv_heads
    kv_head = tl.program_id(2) % kv_heads
    first_column = tl.program_id(0) * W
    k_head = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh) + first_column
    v_head = head_start(v_ptr, batch, kv_head, stride_vb, stride_vh)
    dk_head = head_start(dk_ptr, batch, kv_head, stride_dkb, stride_dkh) + first_column

    index = tl.program_id(2)
    if CAUSAL:
        index = index * tl.num_programs(1) + tl.program_id(1)
    start = state_start(grads_ptr, index, D)
    column = first_column + tl.arange(0, W)
    grad = tl.load(start + (column[:, None] * D + tl.arange(0, D)[None, :]))  # [W, D]
    grad_keys = tl.load(start + D * D + column)
    if not CAUSAL:
        grad = grad.to(k_ptr.dtype.element_ty)

    local = tl.arange(0, R)
    begin = tl.program_id(1) * SEGMENT
    tiles = tl.cdiv(tl.minimum(SEGMENT, m - begin), R)
    for step in range(tiles):
        first = begin + (tiles - 1 - step) * R
        row = first + local
        v = load_columns(v_head, stride_vn, first, m, D, R)  # [D, R]
        dk = tl.dot(grad.to(v.dtype), v, input_precision="ieee")  # [W, R]: transposed
        if NORMALISE:
            dk -= grad_keys[:, None]
        if CAUSAL:
            for member in range(group):
                head = kv_head * group + member
                q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh) + first_column
                do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh)
                u = feature(load_columns(q_head, stride_qn, first, m, W, R), MAP)  # [W, R]
                w = load_rows(do_head, stride_don, first, m, D, R)  # [R, D]
                delta = tl.zeros([R], tl.float32)
                if NORMALISE:
                    flat = tl.cast(tl.program_id(2) * group + member, tl.int64) * m
                    share = tl.rsqrt(tl.load(norm_ptr + flat + row, mask=row < m, other=1.0))
                    delta = tl.load(delta_ptr + flat + row, mask=row < m, other=0.0)
                    u = u * share[None, :]
                    w = (w.to(tl.float32) * share[:, None]).to(v.dtype)
                    grad_keys += tl.sum(u * delta[None, :], 1)
                u = u.to(v.dtype)
                dp = tl.dot(w, v, input_precision="ieee") - delta[:, None]  # [query, key]
                dp = tl.where(local[:, None] >= local[None, :], dp, 0.0)
                dk = tl.dot(u, dp.to(u.dtype), dk, input_precision="ieee")
                grad = tl.dot(u, w, grad, input_precision="ieee")
        slopes = slope(load_rows(k_head, stride_kn, first, m, W, R), MAP)
        store_rows(dk_head, stride_dkn, first, m, tl.trans(dk) * slopes, W, R)
