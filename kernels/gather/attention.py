"""The launcher of the gather kernels and their autograd function.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h], index [b,h_kv,ceil(n/B),listed]. Out: [b,h,n,d_h].
Sizes may be symbolic (torch.SymInt): nothing here branches on b, h, h_kv, n, m or the lists' length.
"""

import math
from typing import Any

import torch
import triton
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd.function import once_differentiable
from triton.runtime.jit import JITFunction

from tfcost_kernels.flash.backward import delta_kernel
from tfcost_kernels.gather.backward import dk_dv_kernel, dq_kernel
from tfcost_kernels.gather.forward import forward_kernel
from tfcost_kernels.gather.tiles import BLOCKS, HEAD_WIDTHS, Tile, Tiles, tiles_for

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
MAX_GRID_Y = 65535  # CUDA's limit on a grid's second axis, which carries batch and heads


def gather_attention(
    q: Tensor, k: Tensor, v: Tensor, index: Tensor, *, block: int = 64, causal: bool = False
) -> Tensor:
    """Softmax attention of each block of queries to the key blocks that its list names.

    q is [b,h,n,d_h], k and v are [b,h_kv,m,d_h] with h a multiple of h_kv. `index` [b,h_kv,ceil(n/block),listed] holds
    block numbers, int32 or int64: block c is the keys c*block..c*block+block-1 below m. A number below 0 or at least
    ceil(m/block) selects nothing; one listed twice counts twice. `causal` also hides keys j > i + m - n from query i.
    The result is [b,h,n,d_h] in q's dtype; a row without keys is 0, and so is its gradient. dK and dV are summed by
    fp32 atomic additions, whose order varies from run to run.
    Batch, head and row strides are free; an input whose last dimension is not contiguous is copied first.
    Raises ValueError for shapes, dtypes or devices that the kernels lack.
    """
    _check(q, k, v, index, block)
    q, k, v = (_rows_contiguous(t) for t in (q, k, v))
    index, tiles = index.contiguous(), tiles_for(block, q.shape[-1], q.element_size())
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return _GatherAttention.apply(q, k, v, index, block, causal, tiles)
    return launch_forward(q, k, v, index, block, causal, tiles.forward, save_lse=False)[0]


class _GatherAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, index: Tensor, block: int, causal: bool, tiles: Tiles
    ) -> Tensor:
        o, lse = launch_forward(q, k, v, index, block, causal, tiles.forward, save_lse=True)
        ctx.save_for_backward(q, k, v, index, o, lse)
        ctx.block, ctx.causal, ctx.tiles = block, causal, tiles
        return o

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, index, o, lse = ctx.saved_tensors
        do = _rows_contiguous(do)
        delta = launch_delta(o, do, ctx.tiles.dq)
        shared = (q, k, v, do, index, lse, delta, ctx.block, ctx.causal)
        dq = launch_dq(*shared, ctx.tiles.dq)
        dk, dv = launch_dk_dv(*shared, ctx.tiles.dk_dv)
        return dq, dk, dv, None, None, None, None


def launch_forward(
    q: Tensor, k: Tensor, v: Tensor, index: Tensor, block: int, causal: bool, tile: Tile, *, save_lse: bool
) -> tuple[Tensor, Tensor | None]:
    """O [b,h,n,d_h] and, if asked for, the base-2 log-sum-exp of the scaled scores [b,h,n] in fp32."""
    b, h, n, d_h = q.shape
    o = torch.empty_like(q)
    lse = torch.empty((b, h, n), dtype=torch.float32, device=q.device) if save_lse else None
    forward_kernel[(triton.cdiv(n, block), b * h)](
        q, k, v, index, o, lse, *_strides(q, k, v, o), h, h // k.shape[1], n, k.shape[2], *index.shape[2:],
        _scale(d_h) * math.log2(math.e), D=d_h, B=block, CAUSAL=causal, SAVE_LSE=save_lse,
        num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return o, lse


def launch_delta(o: Tensor, do: Tensor, tile: Tile) -> Tensor:
    """Delta [b,h,n] in fp32: the row sums of o*do."""
    b, h, n, d_h = o.shape
    delta = torch.empty((b, h, n), dtype=torch.float32, device=o.device)
    delta_kernel[(triton.cdiv(n, tile.rows), b * h)](
        o, do, delta, *_strides(o, do), h, n, D=d_h, BM=tile.rows, num_warps=4, num_stages=1
    )
    return delta


def launch_dq(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, index: Tensor, lse: Tensor, delta: Tensor,
    block: int, causal: bool, tile: Tile,
) -> Tensor:  # fmt: skip
    """dQ, shaped and typed like q."""
    b, h, n, d_h = q.shape
    dq = torch.empty_like(q)
    dq_kernel[(triton.cdiv(n, block), b * h)](
        q, k, v, do, index, lse, delta, dq, *_strides(q, k, v, do, dq),
        h, h // k.shape[1], n, k.shape[2], *index.shape[2:], _scale(d_h), _scale(d_h) * math.log2(math.e),
        D=d_h, B=block, CAUSAL=causal, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dq


def launch_dk_dv(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, index: Tensor, lse: Tensor, delta: Tensor,
    block: int, causal: bool, tile: Tile,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """DK and dV, shaped and typed like k and v, contiguous; summed in fp32."""
    b, h_kv, m, d_h = k.shape
    n = q.shape[2]
    dk, dv = (torch.zeros((b, h_kv, m, d_h), dtype=torch.float32, device=k.device) for _ in "kv")
    dk_dv_kernel[(triton.cdiv(n, block), b * h_kv)](
        q, k, v, do, index, lse, delta, dk, dv, *_strides(q, k, v, do),
        h_kv, q.shape[1] // h_kv, n, m, *index.shape[2:], _scale(d_h), _scale(d_h) * math.log2(math.e),
        D=d_h, B=block, BM=tile.rows, CAUSAL=causal, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dk.to(k.dtype), dv.to(v.dtype)


def _scale(head_width: int) -> float:
    return 1.0 / math.sqrt(head_width)


def _strides(*tensors: Tensor) -> list[int]:
    """Batch, head and row strides of each tensor, in elements; the last stride is 1 by contract."""
    return [stride for tensor in tensors for stride in tensor.stride()[:-1]]


def _rows_contiguous(tensor: Tensor) -> Tensor:
    """`tensor`, copied only if its last dimension has gaps (an expanded gradient has stride 0)."""
    stride = tensor.stride(-1)
    return tensor if isinstance(stride, int) and stride == 1 else tensor.contiguous()


def _check(q: Tensor, k: Tensor, v: Tensor, index: Tensor, block: int) -> None:
    """Raise ValueError for inputs that the kernels cannot take."""
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(f"q, k, v must be [batch, heads, rows, head width], got {q.ndim}, {k.ndim}, {v.ndim} dims")
    if index.ndim != 4 or index.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"index must be int32 or int64 [b,h_kv,tiles,listed], got {index.dtype} with {index.ndim} dims"
        )
    if q.dtype not in DTYPES or not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q, k, v must share one dtype of {DTYPES}, got {q.dtype}, {k.dtype}, {v.dtype}")
    if not q.device == k.device == v.device == index.device:
        raise ValueError(f"all inputs must be on one device, got {[t.device for t in (q, k, v, index)]}")
    compiled = isinstance(forward_kernel, JITFunction)
    if compiled and q.device.type != "cuda" and not isinstance(q, FakeTensor):
        raise ValueError(f"the gather kernels need a CUDA device (or TRITON_INTERPRET=1), got {q.device}")
    if block not in BLOCKS:
        raise ValueError(f"block {block} is not one of {BLOCKS}")
    if q.shape[-1] not in HEAD_WIDTHS:
        raise ValueError(f"head width {q.shape[-1]} is not one of {HEAD_WIDTHS}")
    _check_sizes(q.shape, k.shape, v.shape, index.shape, block)


def _check_sizes(q: torch.Size, k: torch.Size, v: torch.Size, index: torch.Size, block: int) -> None:
    """Compare known sizes only: a comparison with a symbolic size would fix it to its example value."""
    pairs = [("batch", q[0], k[0]), ("head width", q[3], k[3]), ("index batch", index[0], k[0])]
    pairs += [("index heads", index[1], k[1])]
    pairs += [(f"v dimension {axis}", v[axis], k[axis]) for axis in range(4)]
    for name, got, wanted in pairs:
        if isinstance(got, int) and isinstance(wanted, int) and got != wanted:
            raise ValueError(f"{name} is {got}, but k has {wanted}: q {tuple(q)}, k {tuple(k)}, v {tuple(v)}")
    if any(isinstance(size, int) and size < 1 for size in (*q, *k, *index)):
        raise ValueError(f"every size must be at least 1, got q {tuple(q)}, k {tuple(k)}, index {tuple(index)}")
    if isinstance(q[2], int) and isinstance(index[2], int) and index[2] != triton.cdiv(q[2], block):
        raise ValueError(f"{q[2]} queries are {triton.cdiv(q[2], block)} blocks of {block}, but index has {index[2]}")
    if isinstance(q[1], int) and isinstance(k[1], int) and q[1] % k[1]:
        raise ValueError(f"{q[1]} query heads are not a multiple of {k[1]} key/value heads")
    if isinstance(q[0], int) and isinstance(q[1], int) and q[0] * q[1] > MAX_GRID_Y:
        raise ValueError(f"batch*heads = {q[0] * q[1]} exceeds the grid limit {MAX_GRID_Y}")
