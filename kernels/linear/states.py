"""Triton kernels for the states: sums over the rows of a segment, and sums over segments.

In: K and V, or Q, dO and what the forward pass kept of each row. Out: states [b,h_kv,segments,d_h+1,d_h]: d_h rows of
Σ v φ(k)ᵀ and one of Σ φ(k), or their gradients, in the type of the memory: that of the inputs, in which they are
multiplied, or fp32. Sums are taken in fp32. No atomics: the results are the same in every run.
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.features import feature, load_columns, load_rows, partial_sums, state_offset, store_state


@triton.jit
def segment_states_kernel(
    k_ptr, v_ptr, states_ptr, stride_kb, stride_kh, stride_kn, stride_vb, stride_vh, stride_vn, kv_heads, m,
    MAP: tl.constexpr, D: tl.constexpr, STEP: tl.constexpr, SEGMENT: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """The state of one segment's keys alone. Grid: (ceil(m/SEGMENT), b*kv_heads).

    If CAUSAL no query sees the state of the last segment, the only one with rows beyond the end.
    """
    batch = tl.program_id(1) // kv_heads
    kv_head = tl.program_id(1) % kv_heads
    k_head = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, kv_head, stride_vb, stride_vh)
    state = tl.zeros([D, D], tl.float32)
    keys = tl.zeros([16, D], tl.float32)
    begin = tl.program_id(0) * SEGMENT
    for first in range(begin, tl.minimum(begin + SEGMENT, m), STEP):
        k = feature(load_rows(k_head, stride_kn, first, m, D, STEP), MAP)  # [STEP, D]
        if not CAUSAL:
            k = tl.where(first + tl.arange(0, STEP)[:, None] < m, k, 0.0)
        v = load_columns(v_head, stride_vn, first, m, D, STEP)  # [D, STEP]
        state = tl.dot(v, k.to(v.dtype), state, input_precision="ieee")
        keys += partial_sums(k, D, STEP)
    start = states_ptr + state_offset(tl.program_id(1) * tl.num_programs(0) + tl.program_id(0), D)
    store_state(start, state, tl.sum(keys, 0), D)


@triton.jit
def segment_gradients_kernel(
    q_ptr, do_ptr, norm_ptr, delta_ptr, grads_ptr,
    stride_qb, stride_qh, stride_qn, stride_dob, stride_doh, stride_don, kv_heads, group, n,
    MAP: tl.constexpr, D: tl.constexpr, STEP: tl.constexpr, SEGMENT: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """What one segment's queries, of all heads that share a key/value head, give to the gradient of the state they see.

    The last row is Σ δφ(q)/√D, minus the gradient of Σ φ(k). Grid: (ceil(n/SEGMENT), b*kv_heads).
    """
    batch = tl.program_id(1) // kv_heads
    kv_head = tl.program_id(1) % kv_heads
    grad = tl.zeros([D, D], tl.float32)
    grad_keys = tl.zeros([16, D], tl.float32)
    begin = tl.program_id(0) * SEGMENT
    for member in range(group):
        head = kv_head * group + member
        q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
        do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh)
        flat = tl.cast(tl.program_id(1) * group + member, tl.int64) * n
        for first in range(begin, tl.minimum(begin + SEGMENT, n), STEP):
            row = first + tl.arange(0, STEP)
            u = feature(load_rows(q_head, stride_qn, first, n, D, STEP), MAP)  # [STEP, D]
            w = load_columns(do_head, stride_don, first, n, D, STEP)  # [D, STEP]
            dtype = w.dtype
            if NORMALISE:
                share = tl.rsqrt(tl.load(norm_ptr + flat + row, mask=row < n, other=1.0))
                delta = tl.load(delta_ptr + flat + row, mask=row < n, other=0.0)
                u = u * share[:, None]
                w = (w.to(tl.float32) * share[None, :]).to(dtype)
                grad_keys += partial_sums(u * delta[:, None], D, STEP)
            grad = tl.dot(w, u.to(dtype), grad, input_precision="ieee")
    start = grads_ptr + state_offset(tl.program_id(1) * tl.num_programs(0) + tl.program_id(0), D)
    store_state(start, grad, tl.sum(grad_keys, 0), D)


@triton.jit
def prefix_kernel(
    states_ptr, segments, D: tl.constexpr, REVERSE: tl.constexpr, BLOCK: tl.constexpr, AT_ONCE: tl.constexpr
):  # fmt: skip
    """Replace each segment's state by the sum over the segments before it (REVERSE: behind it), in place.

    Grid: (ceil((D+1)*D/BLOCK), b*kv_heads); a program owns BLOCK elements of the states and loads them from AT_ONCE
    segments at a time.
    """
    element = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK))[None, :]
    running = tl.zeros([BLOCK], tl.float32)
    for first in range(0, segments, AT_ONCE):
        step = (first + tl.arange(0, AT_ONCE))[:, None]
        segment = segments - 1 - step if REVERSE else step
        place = states_ptr + (state_offset(tl.program_id(1) * segments + segment, D) + element)
        exists = (step < segments) & (element < (D + 1) * D)
        own = tl.load(place, mask=exists, other=0.0).to(tl.float32)  # [AT_ONCE, BLOCK]
        before = running[None, :] + (tl.cumsum(own, 0) - own)
        tl.store(place, before.to(states_ptr.dtype.element_ty), mask=exists)
        running += tl.sum(own, 0)


@triton.jit
def total_kernel(states_ptr, total_ptr, segments, D: tl.constexpr, BLOCK: tl.constexpr, AT_ONCE: tl.constexpr):
    """The sum over all segments: [b,h_kv,1,D+1,D]. Grid and programs as `prefix_kernel`."""
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([AT_ONCE, BLOCK], tl.float32)
    for first in range(0, segments, AT_ONCE):
        segment = (first + tl.arange(0, AT_ONCE))[:, None]
        place = states_ptr + (state_offset(tl.program_id(1) * segments + segment, D) + element[None, :])
        exists = (segment < segments) & (element < (D + 1) * D)[None, :]
        total += tl.load(place, mask=exists, other=0.0).to(tl.float32)
    place = total_ptr + state_offset(tl.program_id(1), D) + element
    tl.store(place, tl.sum(total, 0).to(total_ptr.dtype.element_ty), mask=element < (D + 1) * D)
