"""Device functions: moments as single bytes with one float32 scale for a block, the block's largest absolute value.

The byte is the value's share of the scale under a root, so that small values keep relative precision: a square root
with a sign for the first moment, a fourth root for the second, which is never negative.
"""

import triton
import triton.language as tl


@triton.jit
def decode_first(code, scale):
    """code: [BLOCK] int8; scale: float32. Returns the first moment, [BLOCK] float32."""
    share = code.to(tl.float32) * (1.0 / 127.0)
    return share * tl.abs(share) * scale


@triton.jit
def encode_first(value, scale):
    """value: [BLOCK] float32, at most `scale` in size. Returns [BLOCK] int8."""
    root = tl.sqrt(tl.abs(value) / scale) * 127.0
    return tl.where(value < 0.0, -tl.floor(root + 0.5), tl.floor(root + 0.5)).to(tl.int8)


@triton.jit
def decode_second(code, scale):
    """code: [BLOCK] uint8; scale: float32. Returns the second moment, [BLOCK] float32."""
    share = code.to(tl.float32) * (1.0 / 255.0)
    square = share * share
    return square * square * scale


@triton.jit
def encode_second(value, scale):
    """value: [BLOCK] float32, from 0 to `scale`. Returns [BLOCK] uint8."""
    root = tl.sqrt(tl.sqrt(value / scale)) * 255.0
    return tl.floor(root + 0.5).to(tl.uint8)
