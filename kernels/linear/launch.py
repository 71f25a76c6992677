"""The launchers of the linear attention kernels.

In: q and o [b,h,n,d_h], k and v [b,h_kv,m,d_h]. States are [b,h_kv,segments,d_h+1,d_h] in the type of the inputs
(gradients of full attention: in fp32), `norm` and `delta` [b,h,n] in fp32. Sizes may be symbolic (torch.SymInt):
nothing here branches on b, h, h_kv, n or m.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from tfcost_kernels.linear.backward_kv import dk_dv_kernel
from tfcost_kernels.linear.backward_q import dq_kernel
from tfcost_kernels.linear.features import EPSILON
from tfcost_kernels.linear.forward import output_kernel
from tfcost_kernels.linear.states import prefix_kernel, segment_gradients_kernel, segment_states_kernel, total_kernel
from tfcost_kernels.linear.tiles import SUMS, Tile, Tiles, Walk


class Options(NamedTuple):
    """What is the same in all kernels of one call."""

    causal: bool
    feature_map: str
    normalise: bool
    tiles: Tiles


def launch_states(k: Tensor, v: Tensor, options: Options) -> Tensor:
    """The states that queries see: causal, one per segment, of the keys before it; full, one of all keys."""
    (b, h_kv, m, _), segment = k.shape, options.tiles.segment
    states = _new_states(k, h_kv, m, segment, k.dtype)
    segment_states_kernel[_ceil_div(m, segment), b * h_kv](
        k, v, states, *strides(k, v), h_kv, m, CAUSAL=options.causal, **_constants(k, options.tiles.states, options)
    )
    return sum_segments(states, options.causal, reverse=False)


def launch_output(
    q: Tensor, k: Tensor, v: Tensor, states: Tensor, options: Options, *, save_norm: bool
) -> tuple[Tensor, Tensor | None]:
    """O and, if asked for, the normaliser of each row."""
    h, n, tile = q.shape[1], q.shape[2], options.tiles.output
    o = torch.empty_like(q)
    norm = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device) if save_norm else None
    output_kernel[_grid(q, tile, options)](
        q, k, v, states, o, norm, *strides(q, k, v, o), h, h // k.shape[1], n, EPSILON,
        R=tile.rows, CAUSAL=options.causal, NORMALISE=options.normalise, SAVE=save_norm,
        **_constants(q, tile, options),
    )  # fmt: skip
    return o, norm


def launch_dq(
    q: Tensor, k: Tensor, v: Tensor, o: Tensor, do: Tensor, states: Tensor, norm: Tensor | None, options: Options
) -> tuple[Tensor, Tensor | None]:
    """DQ, and delta if there is a normaliser."""
    h, n, tile = q.shape[1], q.shape[2], options.tiles.dq
    dq = torch.empty_like(q)
    delta = None if norm is None else torch.empty_like(norm)
    dq_kernel[_grid(q, tile, options)](
        q, k, v, o, do, states, norm, dq, delta, *strides(q, k, v, o, do, dq), h, h // k.shape[1], n,
        R=tile.rows, CAUSAL=options.causal, NORMALISE=options.normalise, **_constants(q, tile, options),
    )  # fmt: skip
    return dq, delta


def launch_state_gradients(
    q: Tensor, k: Tensor, do: Tensor, norm: Tensor | None, delta: Tensor | None, options: Options
) -> Tensor:
    """The gradients of the states: causal, one per segment, from the queries behind it; full, one from all queries.

    Where one state is for all keys it is kept in fp32: with few keys, the two terms of dK nearly cancel.
    """
    (b, h, n, _), h_kv, segment = q.shape, k.shape[1], options.tiles.segment
    grads = _new_states(q, h_kv, n, segment, q.dtype if options.causal else torch.float32)
    segment_gradients_kernel[_ceil_div(n, segment), b * h_kv](
        q, do, norm, delta, grads, *strides(q, do), h_kv, h // h_kv, n,
        NORMALISE=options.normalise, **_constants(q, options.tiles.gradients, options),
    )  # fmt: skip
    return sum_segments(grads, options.causal, reverse=True)


def launch_dk_dv(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, grads: Tensor, norm: Tensor | None, delta: Tensor | None,
    options: Options,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """DK and dV, shaped and typed like k and v."""
    h_kv, m, tile = k.shape[1], k.shape[2], options.tiles.dk_dv
    dk, dv = torch.empty_like(k), torch.empty_like(v)
    dk_dv_kernel[_grid(k, tile, options)](
        q, k, v, do, grads, norm, delta, dk, dv, *strides(q, k, v, do, dk, dv), h_kv, q.shape[1] // h_kv, m,
        R=tile.rows, CAUSAL=options.causal, NORMALISE=options.normalise, **_constants(k, tile, options),
    )  # fmt: skip
    return dk, dv


def strides(*tensors: Tensor) -> list[int]:
    """Batch, head and row strides of each tensor, in elements; the last stride is 1 by contract."""
    return [stride for tensor in tensors for stride in tensor.stride()[:-1]]


def rows_contiguous(tensor: Tensor) -> Tensor:
    """`tensor`, copied only if its last dimension has gaps (an expanded gradient has stride 0)."""
    stride = tensor.stride(-1)
    return tensor if isinstance(stride, int) and stride == 1 else tensor.contiguous()


def _grid(rows: Tensor, tile: Tile, options: Options) -> tuple[int, int, int]:
    """Segments, programs of one segment, heads. Where rows do not depend on their segment each tile is one."""
    b, heads, n, _ = rows.shape
    segment = _segment(tile, options)
    return _ceil_div(n, segment), segment // tile.rows, b * heads


def _segment(tile: Walk | Tile, options: Options) -> int:
    return tile.rows if isinstance(tile, Tile) and not options.causal else options.tiles.segment


def _constants(rows: Tensor, tile: Walk | Tile, options: Options) -> dict[str, Any]:
    """The compile-time constants and launch options that all kernels share."""
    return {
        "MAP": options.feature_map, "D": rows.shape[3], "STEP": tile.step, "SEGMENT": _segment(tile, options),
        "num_warps": tile.warps, "num_stages": tile.stages,
    }  # fmt: skip


def _new_states(like: Tensor, h_kv: int, rows: int, segment: int, dtype: torch.dtype) -> Tensor:
    b, _, _, d_h = like.shape
    return torch.empty((b, h_kv, _ceil_div(rows, segment), d_h + 1, d_h), dtype=dtype, device=like.device)


def sum_segments(states: Tensor, causal: bool, *, reverse: bool) -> Tensor:
    """Causal: what comes before each segment (`reverse`: behind it), in place. Full: the total."""
    b, h_kv, segments, rows, d_h = states.shape
    grid = _ceil_div(rows * d_h, SUMS.block), b * h_kv
    constants: dict[str, Any] = {
        "D": d_h, "BLOCK": SUMS.block, "AT_ONCE": SUMS.segments, "num_warps": SUMS.warps, "num_stages": 1
    }  # fmt: skip
    if causal:
        prefix_kernel[grid](states, segments, REVERSE=reverse, **constants)
        return states
    total = torch.empty((b, h_kv, 1, rows, d_h), dtype=states.dtype, device=states.device)
    total_kernel[grid](states, total, segments, **constants)
    return total


def _ceil_div(size: int, tile: int) -> int:
    return (size + tile - 1) // tile
