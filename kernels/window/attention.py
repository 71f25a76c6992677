"""The attention functions of the window family: which passes each consists of, and checks.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h]. Out: [b,h,n,d_h]. Query i stands at position i + m - n, key j at j.
Sizes, and w, c, r, s and g too, may be symbolic (torch.SymInt): only known numbers are compared.
"""

from functools import partial

import torch
from torch import Tensor

from tfcost_kernels.common.autograd import Launches, attend
from tfcost_kernels.common.checks import check_attention, check_heads_fit
from tfcost_kernels.common.tiles import Tiles
from tfcost_kernels.window.forward import forward_kernel
from tfcost_kernels.window.geometry import Pass
from tfcost_kernels.window.launch import launch_backward, launch_forward
from tfcost_kernels.window.tiles import HEAD_WIDTHS, tiles_for


def window_attention(
    q: Tensor, k: Tensor, v: Tensor, w: int, *, causal: bool = False, tiles: Tiles | None = None
) -> Tensor:
    """Attention to the keys at most w positions away (Longformer, arXiv 2004.05150, section 3.1).

    `causal` leaves out the later ones: w + 1 keys remain, 2w + 1 otherwise. Any w >= 0; a large one is full attention.
    A row without keys is 0, and so is its gradient. h must be a multiple of h_kv. `tiles` replaces the table's tiles.
    Raises ValueError for shapes, types, devices or a w that the kernels lack; so do all functions here.
    """
    _check_number("w", w, 0)
    return _attention(q, k, v, (Pass("rows", "band", causal, w=w),), tiles)


def block_local_attention(
    q: Tensor, k: Tensor, v: Tensor, c: int, *, causal: bool = False, tiles: Tiles | None = None
) -> Tensor:
    """Attention inside of blocks of c positions, the first starting at key 0; `causal` leaves out later keys."""
    _check_number("c", c, 1)
    return _attention(q, k, v, (Pass("blocks", "all", causal, period=c),), tiles)


def dilated_attention(
    q: Tensor, k: Tensor, v: Tensor, w: int, r: int, *, causal: bool = False, tiles: Tiles | None = None
) -> Tensor:
    """Attention to every r-th key: r*t positions away, 0 <= t <= w (Longformer, arXiv 2004.05150, section 3.1)."""
    _check_number("w", w, 0)
    _check_number("r", r, 1)
    return _attention(q, k, v, (Pass("residues", "band", causal, period=r, w=w),), tiles)


def strided_attention(
    q: Tensor, k: Tensor, v: Tensor, s: int, *, causal: bool = False, tiles: Tiles | None = None
) -> Tensor:
    """Attention to the keys at most s away and to all a multiple of s away (Sparse Transformer, arXiv 1904.10509).

    Two passes under one softmax: a window, then the residue classes without what the window has (README.md).
    """
    _check_number("s", s, 1)
    return _attention(q, k, v, (Pass("rows", "band", causal, w=s), Pass("residues", "apart", causal, period=s)), tiles)


def longformer_attention(
    q: Tensor, k: Tensor, v: Tensor, w: int, g: int, *, causal: bool = False, tiles: Tiles | None = None
) -> Tensor:
    """A window, and g global tokens at the front: all queries see them, they see all keys (arXiv 2004.05150).

    `causal` leaves out later keys here too, so that global queries see what others would in their place.
    """
    _check_number("w", w, 0)
    _check_number("g", g, 0)
    return _attention(q, k, v, (Pass("rows", "global", causal, w=w, g=g),), tiles)


def _attention(q: Tensor, k: Tensor, v: Tensor, passes: tuple[Pass, ...], tiles: Tiles | None) -> Tensor:
    check_attention("window", forward_kernel, q, k, v, widths=HEAD_WIDTHS)
    check_heads_fit(q)
    passes = tuple(_within_reach(one, q.shape[2], k.shape[2]) for one in passes)
    tiles = tiles or tiles_for(q.shape[-1], q.element_size())
    forward = partial(launch_forward, passes=passes, tile=tiles.forward)
    return attend(Launches(forward, partial(launch_backward, passes=passes, tiles=tiles)), q, k, v)


def _check_number(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | torch.SymInt):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    if isinstance(value, int) and value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _within_reach(one: Pass, n: int, m: int) -> Pass:
    """The same pass with numbers so small that the kernels can count in 32 bits.

    No query is max(n, m) or more away from a key, so more makes no difference. Symbols stay as they are.
    """
    if not (isinstance(n, int) and isinstance(m, int)):
        return one
    period, w, g = (min(x, max(n, m)) if isinstance(x, int) else x for x in (one.period, one.w, one.g))
    return one._replace(period=period, w=w, g=g)
