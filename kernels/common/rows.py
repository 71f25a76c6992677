"""Device functions: the rows of one head in memory, as tiles.

In: the address of the head's first row, its row stride, the number of the tile's first row and that of all rows.
Out: tiles [R, W] or, transposed by the way they are loaded, [W, R]. Rows from `rows` on read 0 and are not stored.
"""

import triton
import triton.language as tl


@triton.jit
def head_start(pointer, batch, head, stride_batch, stride_head):
    """The address of one head's first row, in 64 bits: b*h*n*d_h may pass 2**31."""
    return pointer + tl.cast(batch, tl.int64) * stride_batch + tl.cast(head, tl.int64) * stride_head


@triton.jit
def load_rows(head, stride, first, rows, W: tl.constexpr, R: tl.constexpr, MASKED: tl.constexpr = True):
    """Rows first, first + 1, ...: [R, W]. Without MASKED all of them must exist."""
    local = tl.arange(0, R)
    tile = head + tl.cast(first, tl.int64) * stride + (local[:, None] * stride + tl.arange(0, W)[None, :])
    return tl.load(tile, mask=(first + local)[:, None] < rows, other=0.0) if MASKED else tl.load(tile)


@triton.jit
def load_columns(head, stride, first, rows, W: tl.constexpr, R: tl.constexpr, MASKED: tl.constexpr = True):
    """The same rows as columns: [W, R]."""
    local = tl.arange(0, R)
    tile = head + tl.cast(first, tl.int64) * stride + (tl.arange(0, W)[:, None] + local[None, :] * stride)
    return tl.load(tile, mask=(first + local)[None, :] < rows, other=0.0) if MASKED else tl.load(tile)


@triton.jit
def store_rows(head, stride, first, rows, tile, W: tl.constexpr, R: tl.constexpr):
    """Write `tile` [R, W] in the type of the memory."""
    local = tl.arange(0, R)
    place = head + tl.cast(first, tl.int64) * stride + (local[:, None] * stride + tl.arange(0, W)[None, :])
    tl.store(place, tile.to(head.dtype.element_ty), mask=(first + local)[:, None] < rows)
