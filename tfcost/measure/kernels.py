"""Triton kernels of the measuring itself: a mark that a profile shows, and arithmetic without memory."""

import triton
import triton.language as tl


@triton.jit
def mark_kernel(out_ptr):  # type: ignore[no-untyped-def]
    """Does nothing worth counting; its name and its number of programs say which case begins."""
    tl.store(out_ptr, 0)


@triton.jit  # type: ignore[untyped-decorator]
def arithmetic_kernel(out_ptr, turns, WIDTH: tl.constexpr, SUMS: tl.constexpr):  # type: ignore[no-untyped-def]
    """`turns` rounds of one fp32 fused multiply-add on each of SUMS times WIDTH numbers per program."""
    lane = tl.arange(0, WIDTH)[:, None] + tl.arange(0, SUMS)[None, :]
    x = lane.to(tl.float32) * 1e-3
    y = x + 0.5
    for _ in range(turns):
        x = x * y + y
    tl.store(out_ptr + tl.program_id(0) * WIDTH + tl.arange(0, WIDTH), tl.sum(x, 1))
