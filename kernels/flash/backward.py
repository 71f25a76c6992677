"""Triton backward kernels of flash attention: dK and dV, then dQ.

In: Q, K, V, dO by pointer and strides, LSE and delta [b,h,n] in fp32. Out: dQ, dK, dV.
Scores are computed again from LSE in both kernels, so no sum crosses programs and results are deterministic
(README.md, "Backward").
"""

import triton
import triton.language as tl

from tfcost_kernels.common.gradients import add_queries, add_to_dq
from tfcost_kernels.common.rows import head_start, load_columns, load_rows, store_rows
from tfcost_kernels.flash.forward import allowed_pairs, visible_keys


@triton.jit
def _accumulate_dk_dv(
    dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key, start, stop, n, m, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, DIAGONAL: tl.constexpr,
):  # fmt: skip
    """Add the query tiles in [start, stop) of one head; DIAGONAL tiles hold pairs that the causal mask forbids."""
    for first in range(start, stop, BM):
        dk, dv = add_queries(
            dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key, first, n, m, scale_log2,
            D, BM, DIAGONAL,
        )  # fmt: skip
    return dk, dv


@triton.jit
def dk_dv_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_dob, stride_doh, stride_don,
    stride_dkb, stride_dkh, stride_dkn, stride_dvb, stride_dvh, stride_dvn,
    kv_heads, group, n, m, scale, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """DK and dV of BN keys, summed over the `group` query heads that share them. Grid: (ceil(m/BN), b*kv_heads).

    Keys >= m are read as zeros and never stored; what their rows accumulate stays in their rows.
    """
    first_key = tl.program_id(0) * BN
    batch = tl.program_id(1) // kv_heads
    kv_head = tl.program_id(1) % kv_heads
    key = first_key + tl.arange(0, BN)
    k = load_rows(head_start(k_ptr, batch, kv_head, stride_kb, stride_kh), stride_kn, first_key, m, D, BN)
    v = load_rows(head_start(v_ptr, batch, kv_head, stride_vb, stride_vh), stride_vn, first_key, m, D, BN)
    dk = tl.zeros([BN, D], tl.float32)
    dv = tl.zeros([BN, D], tl.float32)

    # Query i sees key j from i = j - (m - n) on.
    seen_from = tl.maximum(first_key + n - m, 0) // BM * BM
    all_seen_from = tl.cdiv(tl.maximum(first_key + BN - 1 + n - m, 0), BM) * BM
    for member in range(group):
        head = kv_head * group + member
        q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
        do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh)
        flat_head = tl.cast(tl.program_id(1) * group + member, tl.int64)
        lse_head = lse_ptr + flat_head * n
        delta_head = delta_ptr + flat_head * n
        if CAUSAL:
            dk, dv = _accumulate_dk_dv(
                dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key,
                seen_from, tl.minimum(all_seen_from, n), n, m, scale_log2, D, BM, True,
            )  # fmt: skip
            dk, dv = _accumulate_dk_dv(
                dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key,
                all_seen_from, n, n, m, scale_log2, D, BM, False,
            )  # fmt: skip
        else:
            dk, dv = _accumulate_dk_dv(
                dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key,
                0, n, n, m, scale_log2, D, BM, False,
            )  # fmt: skip

    dk_head = head_start(dk_ptr, batch, kv_head, stride_dkb, stride_dkh)
    dv_head = head_start(dv_ptr, batch, kv_head, stride_dvb, stride_dvh)
    store_rows(dk_head, stride_dkn, first_key, m, dk * scale, D, BN)
    store_rows(dv_head, stride_dvn, first_key, m, dv, D, BN)


@triton.jit
def _accumulate_dq(
    dq, q, do, lse, delta, k_head, v_head, stride_kn, stride_vn, row, start, stop, n, m, scale_log2,
    D: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Add the key tiles in [start, stop) to dQ [BM, D]."""
    for first in range(start, stop, BN):
        k = load_columns(k_head, stride_kn, first, m, D, BN, MASKED)
        v = load_columns(v_head, stride_vn, first, m, D, BN, MASKED)
        scores = tl.dot(q, k, input_precision="ieee")  # [BM, BN]
        p = tl.exp2(scores * scale_log2 - lse[:, None])
        if MASKED:
            key = first + tl.arange(0, BN)
            p = tl.where(allowed_pairs(row, key, n, m, CAUSAL), p, 0.0)
        dq = add_to_dq(dq, k, v, do, p, delta)
    return dq


@triton.jit
def dq_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dq_ptr,
    stride_qb, stride_qh, stride_qn, stride_kb, stride_kh, stride_kn,
    stride_vb, stride_vh, stride_vn, stride_dob, stride_doh, stride_don,
    stride_dqb, stride_dqh, stride_dqn,
    heads, group, n, m, scale, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """DQ of BM query rows of one head. Grid: (ceil(n/BM), b*heads)."""
    first_row = tl.program_id(0) * BM
    batch = tl.program_id(1) // heads
    head = tl.program_id(1) % heads
    k_head = head_start(k_ptr, batch, head // group, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, head // group, stride_vb, stride_vh)
    row = first_row + tl.arange(0, BM)
    q = load_rows(head_start(q_ptr, batch, head, stride_qb, stride_qh), stride_qn, first_row, n, D, BM)
    do = load_rows(head_start(do_ptr, batch, head, stride_dob, stride_doh), stride_don, first_row, n, D, BM)
    flat_row = tl.cast(tl.program_id(1), tl.int64) * n + row
    lse = tl.load(lse_ptr + flat_row, mask=row < n, other=0.0)
    delta = tl.load(delta_ptr + flat_row, mask=row < n, other=0.0)
    dq = tl.zeros([BM, D], tl.float32)

    full, stop = visible_keys(first_row, n, m, BM, BN, CAUSAL)
    dq = _accumulate_dq(
        dq, q, do, lse, delta, k_head, v_head, stride_kn, stride_vn, row, 0, full, n, m, scale_log2,
        D, BN, CAUSAL, False,
    )  # fmt: skip
    dq = _accumulate_dq(
        dq, q, do, lse, delta, k_head, v_head, stride_kn, stride_vn, row, full, stop, n, m, scale_log2,
        D, BN, CAUSAL, True,
    )  # fmt: skip

    dq_head = head_start(dq_ptr, batch, head, stride_dqb, stride_dqh)
    store_rows(dq_head, stride_dqn, first_row, n, dq * scale, D, BM)
