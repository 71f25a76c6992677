"""The launcher of the flash kernels and their autograd function.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h]. Out: [b,h,n,d_h].
Sizes may be symbolic (torch.SymInt): nothing here branches on b, h, h_kv, n or m, so a trace keeps them as symbols.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd.function import once_differentiable
from triton.runtime.jit import JITFunction

from tfcost_kernels.flash.backward import delta_kernel, dk_dv_kernel, dq_kernel
from tfcost_kernels.flash.forward import forward_kernel
from tfcost_kernels.flash.tiles import HEAD_WIDTHS, Tile, Tiles, tiles_for

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
MAX_GRID_Y = 65535  # CUDA's limit on a grid's second axis, which carries batch and heads


def flash_attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False, tiles: Tiles | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d_h)) v, exactly, without storing the scores (FlashAttention-2, arXiv 2307.08691).

    q is [b,h,n,d_h], k and v are [b,h_kv,m,d_h] with h a multiple of h_kv; the result is [b,h,n,d_h] in q's dtype.
    `causal` lets query i see keys j <= i + m - n (aligned to the end); a row without keys is 0, and so is its gradient.
    Batch, head and row strides are free; an input whose last dimension is not contiguous is copied first.
    `tiles` replaces the table's tile sizes. Raises ValueError for shapes, dtypes or devices that the kernels lack.
    """
    _check(q, k, v)
    q, k, v = (_rows_contiguous(t) for t in (q, k, v))
    tiles = tiles or tiles_for(q.shape[-1], q.element_size())
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return _FlashAttention.apply(q, k, v, causal, tiles)
    return launch_forward(q, k, v, causal, tiles.forward, save_lse=False)[0]


class _FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, tiles: Tiles) -> Tensor:
        o, lse = launch_forward(q, k, v, causal, tiles.forward, save_lse=True)
        ctx.save_for_backward(q, k, v, o, lse)
        ctx.causal, ctx.tiles = causal, tiles
        return o

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, o, lse = ctx.saved_tensors
        do = _rows_contiguous(do)
        delta = launch_delta(o, do, ctx.tiles.dq)
        dk, dv = launch_dk_dv(q, k, v, do, lse, delta, ctx.causal, ctx.tiles.dk_dv)
        dq = launch_dq(q, k, v, do, lse, delta, ctx.causal, ctx.tiles.dq)
        return dq, dk, dv, None, None


def launch_forward(
    q: Tensor, k: Tensor, v: Tensor, causal: bool, tile: Tile, *, save_lse: bool
) -> tuple[Tensor, Tensor | None]:
    """O [b,h,n,d_h] and, if asked for, the base-2 log-sum-exp of the scaled scores [b,h,n] in fp32."""
    b, h, n, d_h = q.shape
    o = torch.empty_like(q)
    lse = torch.empty((b, h, n), dtype=torch.float32, device=q.device) if save_lse else None
    forward_kernel[(_ceil_div(n, tile.rows), b * h)](
        q, k, v, o, lse, *_strides(q, k, v, o), h, h // k.shape[1], n, k.shape[2], _scale(d_h) * math.log2(math.e),
        D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=causal, SAVE_LSE=save_lse,
        num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return o, lse


def launch_delta(o: Tensor, do: Tensor, tile: Tile) -> Tensor:
    """Delta [b,h,n] in fp32: the row sums of o*do."""
    b, h, n, d_h = o.shape
    delta = torch.empty((b, h, n), dtype=torch.float32, device=o.device)
    delta_kernel[(_ceil_div(n, tile.rows), b * h)](
        o, do, delta, *_strides(o, do), h, n, D=d_h, BM=tile.rows, num_warps=4, num_stages=1
    )
    return delta


def launch_dk_dv(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, lse: Tensor, delta: Tensor, causal: bool, tile: Tile
) -> tuple[Tensor, Tensor]:
    """DK and dV, shaped and typed like k and v."""
    b, h_kv, m, d_h = k.shape
    dk, dv = torch.empty_like(k), torch.empty_like(v)
    dk_dv_kernel[(_ceil_div(m, tile.keys), b * h_kv)](
        q, k, v, do, lse, delta, dk, dv, *_strides(q, k, v, do, dk, dv),
        h_kv, q.shape[1] // h_kv, q.shape[2], m, _scale(d_h), _scale(d_h) * math.log2(math.e),
        D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=causal, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dk, dv


def launch_dq(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, lse: Tensor, delta: Tensor, causal: bool, tile: Tile
) -> Tensor:
    """dQ, shaped and typed like q."""
    b, h, n, d_h = q.shape
    dq = torch.empty_like(q)
    dq_kernel[(_ceil_div(n, tile.rows), b * h)](
        q, k, v, do, lse, delta, dq, *_strides(q, k, v, do, dq),
        h, h // k.shape[1], n, k.shape[2], _scale(d_h), _scale(d_h) * math.log2(math.e),
        D=d_h, BM=tile.rows, BN=tile.keys, CAUSAL=causal, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dq


def _scale(head_width: int) -> float:
    return 1.0 / math.sqrt(head_width)


def _ceil_div(size: int, tile: int) -> int:
    return (size + tile - 1) // tile


def _strides(*tensors: Tensor) -> list[int]:
    """Batch, head and row strides of each tensor, in elements; the last stride is 1 by contract."""
    return [stride for tensor in tensors for stride in tensor.stride()[:-1]]


def _rows_contiguous(tensor: Tensor) -> Tensor:
    """`tensor`, copied only if its last dimension has gaps (an expanded gradient has stride 0)."""
    stride = tensor.stride(-1)
    return tensor if isinstance(stride, int) and stride == 1 else tensor.contiguous()


def _check(q: Tensor, k: Tensor, v: Tensor) -> None:
    """Raise ValueError for inputs that the kernels cannot take."""
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(f"q, k, v must be [batch, heads, rows, head width], got {q.ndim}, {k.ndim}, {v.ndim} dims")
    if q.dtype not in DTYPES or not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q, k, v must share one dtype of {DTYPES}, got {q.dtype}, {k.dtype}, {v.dtype}")
    if not q.device == k.device == v.device:
        raise ValueError(f"q, k, v must be on one device, got {q.device}, {k.device}, {v.device}")
    compiled = isinstance(forward_kernel, JITFunction)
    if compiled and q.device.type != "cuda" and not isinstance(q, FakeTensor):
        raise ValueError(f"the flash kernels need a CUDA device (or TRITON_INTERPRET=1), got {q.device}")
    if q.shape[-1] not in HEAD_WIDTHS:
        raise ValueError(f"head width {q.shape[-1]} is not one of {HEAD_WIDTHS}")
    _check_sizes(q.shape, k.shape, v.shape)


def _check_sizes(q: torch.Size, k: torch.Size, v: torch.Size) -> None:
    """Compare known sizes only: a comparison with a symbolic size would fix it to its example value."""
    pairs = [("batch", q[0], k[0]), ("head width", q[3], k[3])]
    pairs += [(f"v dimension {axis}", v[axis], k[axis]) for axis in range(4)]
    for name, got, wanted in pairs:
        if isinstance(got, int) and isinstance(wanted, int) and got != wanted:
            raise ValueError(f"{name} is {got}, but k has {wanted}: q {tuple(q)}, k {tuple(k)}, v {tuple(v)}")
    if any(isinstance(size, int) and size < 1 for size in (*q, *k)):
        raise ValueError(f"every size must be at least 1, got q {tuple(q)}, k {tuple(k)}")
    if isinstance(q[1], int) and isinstance(k[1], int) and q[1] % k[1]:
        raise ValueError(f"{q[1]} query heads are not a multiple of {k[1]} key/value heads")
    if isinstance(q[0], int) and isinstance(q[1], int) and q[0] * q[1] > MAX_GRID_Y:
        raise ValueError(f"batch*heads = {q[0] * q[1]} exceeds the grid limit {MAX_GRID_Y}")
