"""Triton kernels for the states: sums over the rows of a segment, and sums over segments.

In: K and V, or Q, dO and what the forward pass kept of each row. Out: states [b,h_kv,segments,d_h+1,d_h] in fp32: d_h
rows of Σ φ(k)vᵀ and one of Σ φ(k), or their gradients. No atomics: the results are the same in every run.
"""

import triton
import triton.language as tl

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.features import feature, load_columns, load_rows, state_start


@triton.jit
def _store_state(states, state, keys, D: tl.constexpr, W: tl.constexpr):
    """Write the program's W columns; the key sum, which every slice has, is written with the first."""
    start = state_start(states, tl.program_id(2) * tl.num_programs(1) + tl.program_id(1), D)
    width = tl.arange(0, D)
    column = tl.program_id(0) * W + tl.arange(0, W)
    tl.store(start + (width[:, None] * D + column[None, :]), state)
    if tl.program_id(0) == 0:
        tl.store(start + D * D + width, keys)


@triton.jit
def segment_states_kernel(
    k_ptr, v_ptr, states_ptr, stride_kb, stride_kh, stride_kn, stride_vb, stride_vh, stride_vn, kv_heads, m,
    MAP: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, SEGMENT: tl.constexpr,
):  # fmt: skip
    """W columns of the state of one segment's keys alone. Grid: (D/W, ceil(m/SEGMENT), b*kv_heads)."""
    batch = tl.program_id(2) // kv_heads
    kv_head = tl.program_id(2) % kv_heads
    k_head = head_start(k_ptr, batch, kv_head, stride_kb, stride_kh)
    v_head = head_start(v_ptr, batch, kv_head, stride_vb, stride_vh) + tl.program_id(0) * W
    state = tl.zeros([D, W], tl.float32)
    keys = tl.zeros([D, R], tl.float32)  # summed up over its columns once, at the end
    begin = tl.program_id(1) * SEGMENT
    for first in range(begin, tl.minimum(begin + SEGMENT, m), R):
        k = load_columns(k_head, stride_kn, first, m, D, R)  # [D, R]
        k = tl.where(first + tl.arange(0, R)[None, :] < m, feature(k, MAP), 0.0).to(k.dtype)
        v = load_rows(v_head, stride_vn, first, m, W, R)  # [R, W]
        state = tl.dot(k, v, state, input_precision="ieee")
        keys += k.to(tl.float32)
    _store_state(states_ptr, state, tl.sum(keys, 1), D, W)


@triton.jit
def segment_gradients_kernel(
    q_ptr, do_ptr, norm_ptr, delta_ptr, grads_ptr,
    stride_qb, stride_qh, stride_qn, stride_dob, stride_doh, stride_don, kv_heads, group, n,
    MAP: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, SEGMENT: tl.constexpr,
    NORMALISE: tl.constexpr,
):  # fmt: skip
    """What one segment's queries, of all heads that share a key/value head, give to the gradient of the state they see.

    W columns of it; the last row is Σ δφ(q)/√D, minus the gradient of Σ φ(k). Grid: (D/W, ceil(n/SEGMENT), b*kv_heads).
    """
    batch = tl.program_id(2) // kv_heads
    kv_head = tl.program_id(2) % kv_heads
    grad = tl.zeros([D, W], tl.float32)
    grad_keys = tl.zeros([D, R], tl.float32)
    begin = tl.program_id(1) * SEGMENT
    for member in range(group):
        head = kv_head * group + member
        q_head = head_start(q_ptr, batch, head, stride_qb, stride_qh)
        do_head = head_start(do_ptr, batch, head, stride_dob, stride_doh) + tl.program_id(0) * W
        flat = tl.cast(tl.program_id(2) * group + member, tl.int64) * n
        for first in range(begin, tl.minimum(begin + SEGMENT, n), R):
            row = first + tl.arange(0, R)
            w = load_rows(do_head, stride_don, first, n, W, R)  # [R, W]
            u = feature(load_columns(q_head, stride_qn, first, n, D, R), MAP)  # [D, R]
            dtype = w.dtype
            if NORMALISE:
                share = tl.rsqrt(tl.load(norm_ptr + flat + row, mask=row < n, other=1.0))
                delta = tl.load(delta_ptr + flat + row, mask=row < n, other=0.0)
                u = u * share[None, :]
                w = (w.to(tl.float32) * share[:, None]).to(dtype)
                grad_keys += u * delta[None, :]
            grad = tl.dot(u.to(dtype), w, grad, input_precision="ieee")
    _store_state(grads_ptr, grad, tl.sum(grad_keys, 1), D, W)


@triton.jit
def prefix_kernel(states_ptr, segments, D: tl.constexpr, REVERSE: tl.constexpr):
    """Replace each segment's state by the sum over the segments before it (REVERSE: behind it), in place.

    Grid: (D + 1, b*kv_heads); a program owns one row of the states.
    """
    row = tl.program_id(0) * D + tl.arange(0, D)
    running = tl.zeros([D], tl.float32)
    for step in range(segments):
        segment = segments - 1 - step if REVERSE else step
        place = state_start(states_ptr, tl.program_id(1) * segments + segment, D) + row
        own = tl.load(place)
        tl.store(place, running)
        running += own


@triton.jit
def total_kernel(states_ptr, total_ptr, segments, D: tl.constexpr):
    """The sum over all segments: [b,h_kv,1,D+1,D]. Grid: (D + 1, b*kv_heads); a program owns one row."""
    row = tl.program_id(0) * D + tl.arange(0, D)
    total = tl.zeros([D], tl.float32)
    for segment in range(segments):
        total += tl.load(state_start(states_ptr, tl.program_id(1) * segments + segment, D) + row)
    tl.store(state_start(total_ptr, tl.program_id(1), D) + row, total)
