"""Launches of the window kernels: one per pass, each going on from what the one before left.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h], rows contiguous, and the passes. Out: O, LSE, gradients. What a pass leaves
for the next is fp32. Sizes may be symbolic (torch.SymInt): nothing here branches on one.
"""

import torch
import triton
from torch import Tensor

from tfcost_kernels.common.gradients import launch_delta
from tfcost_kernels.common.launch import scales, strides
from tfcost_kernels.common.tiles import Tile, Tiles
from tfcost_kernels.window.backward import dk_dv_kernel, dq_kernel
from tfcost_kernels.window.forward import forward_kernel
from tfcost_kernels.window.geometry import Pass, geometry

MAX_GRID_Z = 65535  # CUDA's limit on a grid's third axis, which carries the tiles of a class


def launch_forward(
    q: Tensor, k: Tensor, v: Tensor, passes: tuple[Pass, ...], tile: Tile, *, save_lse: bool
) -> tuple[Tensor, Tensor | None]:
    """O [b,h,n,d_h] and, if asked for, the base-2 log-sum-exp of the scaled scores [b,h,n] in fp32."""
    b, h, n, d_h = q.shape
    m = k.shape[2]
    o = part = lse = None
    for one in passes:
        goes_on = one is not passes[-1]
        part, o = o, torch.empty_like(q, dtype=torch.float32 if goes_on else q.dtype)
        if lse is None and (save_lse or goes_on):
            lse = torch.empty((b, h, n), dtype=torch.float32, device=q.device)
        shape = geometry(one, n, m)
        forward_kernel[_grid(shape.classes, b * h, triton.cdiv(shape.rows, tile.rows))](
            q, k, v, o, part, lse, *strides(q, k, v, o), h, h // k.shape[1], n, m, *shape.numbers, one.w, one.g,
            scales(d_h)[1],
            D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=one.causal, PATTERN=one.pattern, LAYOUT=one.layout,
            CARRY=part is not None, SAVE_LSE=save_lse or goes_on, num_warps=tile.warps, num_stages=tile.stages,
        )  # fmt: skip
    return o, lse


def launch_backward(
    q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, do: Tensor, passes: tuple[Pass, ...], tiles: Tiles
) -> tuple[Tensor, Tensor, Tensor]:
    """(dQ, dK, dV), shaped and typed like q, k, v."""
    delta = launch_delta(o, do, tiles.dq.rows)
    dk, dv = launch_dk_dv(q, k, v, do, lse, delta, passes, tiles.dk_dv)
    return launch_dq(q, k, v, do, lse, delta, passes, tiles.dq), dk, dv


def launch_dk_dv(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, lse: Tensor, delta: Tensor, passes: tuple[Pass, ...], tile: Tile
) -> tuple[Tensor, Tensor]:
    """Gradients dK and dV, shaped and typed like k and v."""
    (b, h_kv, m, d_h), n = k.shape, q.shape[2]
    dk = dv = None
    scale, scale_log2 = scales(d_h)
    for one in passes:
        goes_on = one is not passes[-1]
        dk_part, dv_part = dk, dv
        dk, dv = (torch.empty_like(t, dtype=torch.float32 if goes_on else t.dtype) for t in (k, v))
        shape = geometry(one, n, m, by_keys=True)
        dk_dv_kernel[_grid(shape.classes, b * h_kv, triton.cdiv(shape.keys, tile.keys))](
            q, k, v, do, lse, delta, dk, dv, dk_part, dv_part, *strides(q, k, v, do, dk, dv),
            h_kv, q.shape[1] // h_kv, n, m, *shape.numbers, one.w, one.g,
            1.0 if goes_on else scale, scale_log2,
            D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=one.causal, PATTERN=one.pattern, LAYOUT=one.layout,
            CARRY=dk_part is not None, num_warps=tile.warps, num_stages=tile.stages,
        )  # fmt: skip
    return dk, dv


def launch_dq(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, lse: Tensor, delta: Tensor, passes: tuple[Pass, ...], tile: Tile
) -> Tensor:
    """Gradient dQ, shaped and typed like q."""
    (b, h, n, d_h), m = q.shape, k.shape[2]
    dq = None
    scale, scale_log2 = scales(d_h)
    for one in passes:
        goes_on = one is not passes[-1]
        part, dq = dq, torch.empty_like(q, dtype=torch.float32 if goes_on else q.dtype)
        shape = geometry(one, n, m)
        dq_kernel[_grid(shape.classes, b * h, triton.cdiv(shape.rows, tile.rows))](
            q, k, v, do, lse, delta, dq, part, *strides(q, k, v, do, dq),
            h, h // k.shape[1], n, m, *shape.numbers, one.w, one.g,
            1.0 if goes_on else scale, scale_log2,
            D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=one.causal, PATTERN=one.pattern, LAYOUT=one.layout,
            CARRY=part is not None, num_warps=tile.warps, num_stages=tile.stages,
        )  # fmt: skip
    return dq


def _grid(classes: int, heads: int, tiles: int) -> tuple[int, int, int]:
    if isinstance(tiles, int) and tiles > MAX_GRID_Z:
        raise ValueError(f"a class of {tiles} tiles exceeds the grid limit {MAX_GRID_Z}: use larger tiles")
    return classes, heads, tiles
