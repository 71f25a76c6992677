"""The launcher of the decode kernels.

In: q [b,h,1,d_h], caches [b,h_kv,capacity,d_h] of which rows first..length-1 count. Out: [b,h,1,d_h].
Sizes and `length` may be symbolic (torch.SymInt): nothing here branches on them.
"""

import math

import torch
import triton
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from triton.runtime.jit import JITFunction

from tfcost_kernels.decode.kernels import combine_kernel, partial_kernel
from tfcost_kernels.decode.tiles import HEAD_WIDTHS, PARTS, ROWS, tile_for

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
MAX_SPLITS = 65535  # CUDA's limit on a grid's second axis


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
    _check(q, k_cache, v_cache)
    _check_numbers(k_cache.shape[2], length, splits, first)
    q, k_cache, v_cache = (_rows_contiguous(t) for t in (q, k_cache, v_cache))
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
        q, k, v, parts, lse, *q.stride()[:2], *k.stride()[:3], *v.stride()[:3],
        h_kv, h // h_kv, first, length, splits, math.log2(math.e) / math.sqrt(d_h),
        D=d_h, ROWS=ROWS, BN=tile.keys, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return parts, lse


def launch_combine(parts: Tensor, lse: Tensor, q: Tensor) -> Tensor:
    """The partial outputs joined, shaped and typed like q."""
    b, h, splits, d_h = parts.shape
    o = torch.empty_like(q)
    combine_kernel[(b * h,)](parts, lse, o, *o.stride()[:2], h, splits, D=d_h, PARTS=PARTS, num_warps=4, num_stages=1)
    return o


def _rows_contiguous(tensor: Tensor) -> Tensor:
    """`tensor`, copied only if its last dimension has gaps."""
    stride = tensor.stride(-1)
    return tensor if isinstance(stride, int) and stride == 1 else tensor.contiguous()


def _check(q: Tensor, k: Tensor, v: Tensor) -> None:
    """Raise ValueError for inputs that the kernels cannot take."""
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(
            f"q and the caches must be [batch, heads, rows, head width], got {q.ndim}, {k.ndim}, {v.ndim} dims"
        )
    if q.dtype not in DTYPES or not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q and the caches must share one dtype of {DTYPES}, got {q.dtype}, {k.dtype}, {v.dtype}")
    if not q.device == k.device == v.device:
        raise ValueError(f"q and the caches must be on one device, got {q.device}, {k.device}, {v.device}")
    compiled = isinstance(partial_kernel, JITFunction)
    if compiled and q.device.type != "cuda" and not isinstance(q, FakeTensor):
        raise ValueError(f"the decode kernels need a CUDA device (or TRITON_INTERPRET=1), got {q.device}")
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        raise ValueError("decoding has no gradient: call it under torch.no_grad(), or train with flash_attention")
    if q.shape[-1] not in HEAD_WIDTHS:
        raise ValueError(f"head width {q.shape[-1]} is not one of {HEAD_WIDTHS}")
    _check_sizes(q.shape, k.shape, v.shape)


def _check_sizes(q: torch.Size, k: torch.Size, v: torch.Size) -> None:
    """Compare known sizes only: a comparison with a symbolic size would fix it to its example value."""
    pairs = [("batch", q[0], k[0]), ("head width", q[3], k[3])]
    pairs += [(f"v_cache dimension {axis}", v[axis], k[axis]) for axis in range(4)]
    for name, got, wanted in pairs:
        if isinstance(got, int) and isinstance(wanted, int) and got != wanted:
            raise ValueError(f"{name} is {got}, but k_cache has {wanted}: {tuple(q)}, {tuple(k)}, {tuple(v)}")
    if isinstance(q[2], int) and q[2] != 1:
        raise ValueError(f"q must hold one new token, got {q[2]}")
    if any(isinstance(size, int) and size < 1 for size in (*q, *k)):
        raise ValueError(f"every size must be at least 1, got q {tuple(q)}, k_cache {tuple(k)}")
    if isinstance(q[1], int) and isinstance(k[1], int) and q[1] % k[1]:
        raise ValueError(f"{q[1]} query heads are not a multiple of {k[1]} key/value heads")


def _check_numbers(capacity: int, length: int, splits: int, first: int) -> None:
    """As `_check_sizes`, for the plain numbers."""
    if isinstance(length, int) and length < 0:
        raise ValueError(f"length must be at least 0, got {length}")
    if isinstance(length, int) and isinstance(capacity, int) and length > capacity:
        raise ValueError(f"length {length} exceeds the caches' capacity {capacity}")
    if isinstance(first, int) and first < 0:
        raise ValueError(f"first must be at least 0, got {first}")
    if isinstance(splits, int) and not 1 <= splits <= MAX_SPLITS:
        raise ValueError(f"splits must be 1 to {MAX_SPLITS}, got {splits}")
