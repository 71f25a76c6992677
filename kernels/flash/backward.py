"""Triton backward kernels of flash attention: delta, then dK and dV, then dQ.

In: Q, K, V, dO by pointer and strides, LSE and delta [b,h,n] in fp32. Out: dQ, dK, dV.
Scores are computed again from LSE in both kernels, so no sum crosses programs and results are deterministic
(README.md, "Backward").
"""

import triton
import triton.language as tl

from tfcost_kernels.flash.forward import allowed_pairs, head_start, visible_keys


@triton.jit
def delta_kernel(
    o_ptr, do_ptr, delta_ptr,
    stride_ob, stride_oh, stride_on, stride_dob, stride_doh, stride_don,
    heads, n, D: tl.constexpr, BM: tl.constexpr,
):  # fmt: skip
    """delta[i] = sum over the head width of O[i]*dO[i], in fp32. Grid: (ceil(n/BM), b*heads)."""
    first_row = tl.program_id(0) * BM
    batch = tl.program_id(1) // heads
    head = tl.program_id(1) % heads
    local = tl.arange(0, BM)
    width = tl.arange(0, D)
    row = first_row + local
    start = tl.cast(first_row, tl.int64)
    o_tile = head_start(o_ptr, batch, head, stride_ob, stride_oh) + start * stride_on
    do_tile = head_start(do_ptr, batch, head, stride_dob, stride_doh) + start * stride_don
    o = tl.load(o_tile + (local[:, None] * stride_on + width[None, :]), mask=row[:, None] < n, other=0.0)
    do = tl.load(do_tile + (local[:, None] * stride_don + width[None, :]), mask=row[:, None] < n, other=0.0)
    delta = tl.sum(o.to(tl.float32) * do.to(tl.float32), 1)
    tl.store(delta_ptr + tl.cast(tl.program_id(1), tl.int64) * n + row, delta, mask=row < n)


@triton.jit
def _accumulate_dk_dv(
    dk, dv, k, v, q_head, do_head, lse_head, delta_head, stride_qn, stride_don, key, start, stop, n, m, scale_log2,
    D: tl.constexpr, BM: tl.constexpr, DIAGONAL: tl.constexpr,
):  # fmt: skip
    """Add the query tiles in [start, stop) of one head; DIAGONAL tiles hold pairs that the causal mask forbids.

    Rows >= n need no mask on the scores: their Q, dO, LSE and delta read 0, so they add 0 to dV and dK.
    """
    width = tl.arange(0, D)
    local = tl.arange(0, BM)
    for first in range(start, stop, BM):
        row = first + local
        q_tile = q_head + tl.cast(first, tl.int64) * stride_qn + (local[:, None] * stride_qn + width[None, :])
        do_tile = do_head + tl.cast(first, tl.int64) * stride_don + (local[:, None] * stride_don + width[None, :])
        q = tl.load(q_tile, mask=row[:, None] < n, other=0.0)  # [BM, D]
        lse = tl.load(lse_head + row, mask=row < n, other=0.0)
        scores = tl.dot(k, tl.trans(q), input_precision="ieee")  # [BN, BM], transposed
        p = tl.exp2(scores * scale_log2 - lse[None, :])
        if DIAGONAL:
            p = tl.where(key[:, None] <= row[None, :] + (m - n), p, 0.0)
        do = tl.load(do_tile, mask=row[:, None] < n, other=0.0)  # [BM, D]
        dv = tl.dot(p.to(do.dtype), do, dv, input_precision="ieee")
        delta = tl.load(delta_head + row, mask=row < n, other=0.0)
        dp = tl.dot(v, tl.trans(do), input_precision="ieee")  # [BN, BM]
        ds = p * (dp - delta[None, :])
        dk = tl.dot(ds.to(q.dtype), q, dk, input_precision="ieee")
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
    local = tl.arange(0, BN)
    width = tl.arange(0, D)
    key = first_key + local
    start = tl.cast(first_key, tl.int64)
    k_tile = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh) + start * stride_kn
    v_tile = head_start(v_ptr, batch, kv_head, stride_vb, stride_vh) + start * stride_vn
    k = tl.load(k_tile + (local[:, None] * stride_kn + width[None, :]), mask=key[:, None] < m, other=0.0)
    v = tl.load(v_tile + (local[:, None] * stride_vn + width[None, :]), mask=key[:, None] < m, other=0.0)
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

    dk_tile = head_start(dk_ptr, batch, kv_head, stride_dkb, stride_dkh) + start * stride_dkn
    dv_tile = head_start(dv_ptr, batch, kv_head, stride_dvb, stride_dvh) + start * stride_dvn
    dk = (dk * scale).to(dk_ptr.dtype.element_ty)
    tl.store(dk_tile + (local[:, None] * stride_dkn + width[None, :]), dk, mask=key[:, None] < m)
    dv = dv.to(dv_ptr.dtype.element_ty)
    tl.store(dv_tile + (local[:, None] * stride_dvn + width[None, :]), dv, mask=key[:, None] < m)


@triton.jit
def _accumulate_dq(
    dq, q, do, lse, delta, k_head, v_head, stride_kn, stride_vn, row, start, stop, n, m, scale_log2,
    D: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Add the key tiles in [start, stop) to dQ [BM, D]."""
    width = tl.arange(0, D)
    column = tl.arange(0, BN)
    for first in range(start, stop, BN):
        key = first + column
        k_tile = k_head + tl.cast(first, tl.int64) * stride_kn + (width[:, None] + column[None, :] * stride_kn)
        v_tile = v_head + tl.cast(first, tl.int64) * stride_vn + (width[:, None] + column[None, :] * stride_vn)
        if MASKED:
            k = tl.load(k_tile, mask=key[None, :] < m, other=0.0)  # [D, BN]
            v = tl.load(v_tile, mask=key[None, :] < m, other=0.0)
        else:
            k = tl.load(k_tile)
            v = tl.load(v_tile)
        scores = tl.dot(q, k, input_precision="ieee")  # [BM, BN]
        p = tl.exp2(scores * scale_log2 - lse[:, None])
        if MASKED:
            p = tl.where(allowed_pairs(row, key, n, m, CAUSAL), p, 0.0)
        dp = tl.dot(do, v, input_precision="ieee")
        ds = p * (dp - delta[:, None])
        dq = tl.dot(ds.to(k.dtype), tl.trans(k), dq, input_precision="ieee")
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
    local = tl.arange(0, BM)
    width = tl.arange(0, D)
    row = first_row + local
    start = tl.cast(first_row, tl.int64)
    q_tile = head_start(q_ptr, batch, head, stride_qb, stride_qh) + start * stride_qn
    do_tile = head_start(do_ptr, batch, head, stride_dob, stride_doh) + start * stride_don
    q = tl.load(q_tile + (local[:, None] * stride_qn + width[None, :]), mask=row[:, None] < n, other=0.0)
    do = tl.load(do_tile + (local[:, None] * stride_don + width[None, :]), mask=row[:, None] < n, other=0.0)
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

    dq_tile = head_start(dq_ptr, batch, head, stride_dqb, stride_dqh) + start * stride_dqn
    dq = (dq * scale).to(dq_ptr.dtype.element_ty)
    tl.store(dq_tile + (local[:, None] * stride_dqn + width[None, :]), dq, mask=row[:, None] < n)
