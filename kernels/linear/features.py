"""Device functions shared by the linear attention kernels: loading and storing tiles, the feature maps, their slopes.

In: the address of a head's first row, a row stride, the first row of the tile. Out: tiles [R, W] or, transposed by the
way they are loaded, [W, R]. Rows from n on read 0 and are not stored.
"""

import math

import triton
import triton.language as tl

FEATURE_MAPS = ("relu", "exp", "elu+1")
# Keeps the normaliser away from zero: a ReLU may switch every key off.
EPSILON = 1e-6
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
def load_rows(head, stride, first, n, W: tl.constexpr, R: tl.constexpr):
    """Rows first, first + 1, ...: [R, W]."""
    row = tl.arange(0, R)[:, None]
    tile = head + tl.cast(first, tl.int64) * stride + (row * stride + tl.arange(0, W)[None, :])
    return tl.load(tile, mask=first + row < n, other=0.0)


@triton.jit
def load_columns(head, stride, first, n, W: tl.constexpr, R: tl.constexpr):
    """The same rows as columns: [W, R]."""
    row = tl.arange(0, R)[None, :]
    tile = head + tl.cast(first, tl.int64) * stride + (row * stride + tl.arange(0, W)[:, None])
    return tl.load(tile, mask=first + row < n, other=0.0)


@triton.jit
def store_rows(head, stride, first, n, tile, W: tl.constexpr, R: tl.constexpr):
    """Write `tile` [R, W] in the type of the memory."""
    row = tl.arange(0, R)[:, None]
    place = head + tl.cast(first, tl.int64) * stride + (row * stride + tl.arange(0, W)[None, :])
    tl.store(place, tile.to(head.dtype.element_ty), mask=first + row < n)


@triton.jit
def state_start(states, index, D: tl.constexpr):
    """The address of state number `index`: D rows of Σ φ(k)vᵀ, one more of Σ φ(k)."""
    return states + tl.cast(index, tl.int64) * ((D + 1) * D)
