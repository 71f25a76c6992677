"""The launcher of the decode kernels.

In: q [b,h,1,d_h], caches [b,h_kv,capacity,d_h] of which rows first..length-1 count. Out: [b,h,1,d_h].
Sizes and `length` may be symbolic (torch.SymInt): nothing here branches on them.
"""

import torch
import triton
from torch import Tensor

from tfcost_kernels.common.checks import MAX_GRID, check_attention
from tfcost_kernels.common.launch import rows_contiguous, scales, strides
from tfcost_kernels.common.shapes import differ
from tfcost_kernels.decode.kernels import combine_kernel, partial_kernel
from tfcost_kernels.decode.tiles import HEAD_WIDTHS, PARTS, ROWS, tile_for


def decode_attention(
    q: Tensor, k_cache: Tensor, v_cache: Tensor, length: int, *, splits: int, first: int = 0
) -> Tensor:
    """softmax(q k^T / sqrt(d_h)) v over the cached keys first..length-1, by `splits` programs per key/value head.

    q is [b,h,1,d_h], the caches are [b,h_kv,capacity,d_h] with h a multiple of h_kv; the result is [b,h,1,d_h] in q's
    dtype, and 0 if there are no keys. Rows of the caches outside first..length-1 are never read. A sliding window w
    has first = max(0, length-1-w). The work is split as in Flash-Decoding (Dao et al., 2023). There is no gradient.
    Batch, head and row strides are free; an input whose last dimension is not contiguous is copied first.
    Raises ValueError for shapes, dtypes or devices that the kernels lack.
    """
    check_attention("decode", partial_kernel, q, k_cache, v_cache, widths=HEAD_WIDTHS, keys="k_cache", values="v_cache")
    if differ(q.shape[2], 1):
        raise ValueError(f"q must hold one new token, got {q.shape[2]}")
    if torch.is_grad_enabled() and (q.requires_grad or k_cache.requires_grad or v_cache.requires_grad):
        raise ValueError("decoding has no gradient: call it under torch.no_grad(), or train with flash_attention")
    _check_numbers(k_cache.shape[2], length, splits, first)
    q, k_cache, v_cache = (rows_contiguous(t) for t in (q, k_cache, v_cache))
    parts, lse = launch_partial(q, k_cache, v_cache, length, splits, first)
    return launch_combine(parts, lse, q)


def launch_partial(q: Tensor, k: Tensor, v: Tensor, length: int, splits: int, first: int) -> tuple[Tensor, Tensor]:
    """The partial outputs [b,h,splits,d_h] and their base-2 log-sum-exps [b,h,splits], both in fp32."""
    b, h, _, d_h = q.shape
    h_kv = k.shape[1]
    tile = tile_for(d_h, q.element_size())
    parts = torch.empty((b, h, splits, d_h), dtype=torch.float32, device=q.device)
    lse = torch.empty((b, h, splits), dtype=torch.float32, device=q.device)
    partial_kernel[(b * h_kv, splits, triton.cdiv(h // h_kv, ROWS))](
        q, k, v, parts, lse, *q.stride()[:2], *strides(k, v),
        h_kv, h // h_kv, first, length, splits, scales(d_h)[1],
        D=d_h, ROWS=ROWS, BN=tile.keys, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return parts, lse


def launch_combine(parts: Tensor, lse: Tensor, q: Tensor) -> Tensor:
    """The partial outputs joined, shaped and typed like q."""
    b, h, splits, d_h = parts.shape
    o = torch.empty_like(q)
    combine_kernel[(b * h,)](parts, lse, o, *o.stride()[:2], h, splits, D=d_h, PARTS=PARTS, num_warps=4, num_stages=1)
    return o


def _check_numbers(capacity: int, length: int, splits: int, first: int) -> None:
    """Raise ValueError for numbers, where they are known, that contradict the cache or the grid."""
    if isinstance(length, int) and length < 0:
        raise ValueError(f"length must be at least 0, got {length}")
    if isinstance(length, int) and isinstance(capacity, int) and length > capacity:
        raise ValueError(f"length {length} exceeds the caches' capacity {capacity}")
    if isinstance(first, int) and first < 0:
        raise ValueError(f"first must be at least 0, got {first}")
    if isinstance(splits, int) and not 1 <= splits <= MAX_GRID:
        raise ValueError(f"splits must be 1 to {MAX_GRID}, got {splits}")
