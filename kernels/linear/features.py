"""Device functions shared by the linear attention kernels: loading and storing tiles and states, the feature maps.

In: the address of a head's first row, a row stride, the first row of the tile. Out: tiles [R, D] or, transposed by the
way they are loaded, [D, R]. Rows from n on read 0 and are not stored.
"""

import math

import triton
import triton.language as tl

FEATURE_MAPS = ("relu", "exp", "elu+1")
# Keeps the normaliser away from zero: a ReLU may switch every key off.
EPSILON = 1e-6
# The fewest columns that a product may have on the tensor cores.
NARROW = tl.constexpr(16)
_LOG2_E = tl.constexpr(math.log2(math.e))


@triton.jit
def feature(tile, MAP: tl.constexpr):
    """φ of every element, in fp32. Rows that were read as 0 are not 0 afterwards, unless MAP is "relu"."""
    x = tile.to(tl.float32)
    if MAP == "relu":
        mapped = tl.where(x < 0.0, 0.0, x)
    elif MAP == "exp":
        mapped = tl.exp2(x * _LOG2_E)
    else:
        mapped = tl.where(x > 0.0, x + 1.0, tl.exp2(x * _LOG2_E))
    return mapped


@triton.jit
def slope(tile, MAP: tl.constexpr):
    """φ' of every element, in fp32."""
    x = tile.to(tl.float32)
    if MAP == "relu":
        slopes = tl.where(x > 0.0, 1.0, 0.0)
    elif MAP == "exp":
        slopes = tl.exp2(x * _LOG2_E)
    else:
        slopes = tl.where(x > 0.0, 1.0, tl.exp2(x * _LOG2_E))
    return slopes


@triton.jit
def load_rows(head, stride, first, n, D: tl.constexpr, R: tl.constexpr):
    """Rows first, first + 1, ...: [R, D]."""
    row = tl.arange(0, R)[:, None]
    tile = head + tl.cast(first, tl.int64) * stride + (row * stride + tl.arange(0, D)[None, :])
    return tl.load(tile, mask=first + row < n, other=0.0)


@triton.jit
def load_rows_or_last(head, stride, first, n, D: tl.constexpr, R: tl.constexpr):
    """The same without a mask, [R, D]: rows from n on read the last row again.

    For tiles that several programs of a segment load: what is issued then depends on n through whole segments only.
    """
    row = tl.minimum(tl.arange(0, R), n - 1 - first)[:, None]
    return tl.load(head + tl.cast(first, tl.int64) * stride + (row * stride + tl.arange(0, D)[None, :]))


@triton.jit
def load_columns(head, stride, first, n, D: tl.constexpr, R: tl.constexpr):
    """The same rows as columns: [D, R]."""
    row = tl.arange(0, R)[None, :]
    tile = head + tl.cast(first, tl.int64) * stride + (row * stride + tl.arange(0, D)[:, None])
    return tl.load(tile, mask=first + row < n, other=0.0)


@triton.jit
def store_rows(head, stride, first, n, tile, D: tl.constexpr, R: tl.constexpr):
    """Write `tile` [R, D] in the type of the memory."""
    row = tl.arange(0, R)[:, None]
    place = head + tl.cast(first, tl.int64) * stride + (row * stride + tl.arange(0, D)[None, :])
    tl.store(place, tile.to(head.dtype.element_ty), mask=first + row < n)


@triton.jit
def state_offset(index, D: tl.constexpr):
    """Where state number `index` begins: D rows of Σ v φ(k)ᵀ, one more of Σ φ(k)."""
    return tl.cast(index, tl.int64) * ((D + 1) * D)


@triton.jit
def load_state(start, D: tl.constexpr):
    """Σ v φ(k)ᵀ of the state at `start`: [D, D], values by keys."""
    width = tl.arange(0, D)
    return tl.load(start + (width[:, None] * D + width[None, :]))


@triton.jit
def load_key_sum(start, D: tl.constexpr):
    """Σ φ(k) of the state at `start`: [D]."""
    return tl.load(start + D * D + tl.arange(0, D))


@triton.jit
def store_state(start, state, keys, D: tl.constexpr):
    """Write a state [D, D], values by keys, and its key sum [D]."""
    width = tl.arange(0, D)
    dtype = start.dtype.element_ty
    tl.store(start + (width[:, None] * D + width[None, :]), state.to(dtype))
    tl.store(start + D * D + width, keys.to(dtype))


@triton.jit
def partial_sums(tile, D: tl.constexpr, R: tl.constexpr):
    """The sum over the rows of `tile` [R, D] in 16 parts: [16, D], part p of rows p, p + 16, ...

    All rows of a part are in one thread's registers: nothing is exchanged until the parts are added up.
    """
    return tl.sum(tl.reshape(tile, (R // 16, 16, D)), 0)
