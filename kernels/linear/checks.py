"""What the linear attention kernels refuse: shapes, dtypes, devices and options, each as a ValueError.

Sizes are compared only where they are known: comparing a symbolic one would fix it to its example value.
"""

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from triton.runtime.jit import JITFunction

from tfcost_kernels.linear.features import FEATURE_MAPS
from tfcost_kernels.linear.tiles import CHUNKS, HEAD_WIDTHS, Tiles

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
MAX_GRID = 65535  # CUDA's limit on a grid's second and third axis: batch times heads


def check_inputs(q: Tensor, k: Tensor, v: Tensor, feature_map: str, kernel: Any) -> None:
    """Raise ValueError for inputs that the kernels cannot take; `kernel` tells whether they run interpreted."""
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(f"q, k, v must be [batch, heads, rows, head width], got {q.ndim}, {k.ndim}, {v.ndim} dims")
    if q.dtype not in DTYPES or not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q, k, v must share one dtype of {DTYPES}, got {q.dtype}, {k.dtype}, {v.dtype}")
    if not q.device == k.device == v.device:
        raise ValueError(f"q, k, v must be on one device, got {q.device}, {k.device}, {v.device}")
    if isinstance(kernel, JITFunction) and q.device.type != "cuda" and not isinstance(q, FakeTensor):
        raise ValueError(f"the linear attention kernels need a CUDA device (or TRITON_INTERPRET=1), got {q.device}")
    if feature_map not in FEATURE_MAPS:
        raise ValueError(f"feature map {feature_map!r} is not one of {FEATURE_MAPS}")
    if q.shape[-1] not in HEAD_WIDTHS:
        raise ValueError(f"head width {q.shape[-1]} is not one of {HEAD_WIDTHS}")
    _check_sizes(q.shape, k.shape, v.shape)


def check_as_many_keys(q: Tensor, k: Tensor) -> None:
    """Raise ValueError unless m = n."""
    if differ(k.shape[2], q.shape[2]):
        raise ValueError(f"causal linear attention needs m = n, got n = {q.shape[2]} queries, m = {k.shape[2]} keys")


def check_step(q: Tensor, k: Tensor, state: Tensor, keys: Tensor) -> None:
    """Raise ValueError unless q and k are one token and `state` and `keys` what a decode step can update in place."""
    b, h_kv, m, d_h = k.shape
    if differ(q.shape[2], 1) or differ(m, 1):
        raise ValueError(f"a decode step takes one token, got n = {q.shape[2]}, m = {m}")
    for name, tensor, shape in (("state", state, (b, h_kv, d_h, d_h)), ("keys", keys, (b, h_kv, d_h))):
        if tensor.ndim != len(shape) or any(map(differ, tensor.shape, shape)):
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        if tensor.dtype != torch.float32 or tensor.device != q.device or not tensor.is_contiguous():
            raise ValueError(f"{name} must be contiguous fp32 on {q.device}, got {tensor.dtype} on {tensor.device}")


def check_chunk(c: int, tiles: Tiles | None) -> None:
    """Raise ValueError for a chunk without kernels, or one that contradicts the tiles."""
    if c not in CHUNKS:
        raise ValueError(f"chunk c = {c} is not one of {CHUNKS}")
    if tiles is not None and tiles.segment != c:
        raise ValueError(f"the tiles have segments of {tiles.segment} rows, but the chunk is {c}")


def check_tiles(tiles: Tiles) -> None:
    """Raise ValueError if tiles do not fill a segment."""
    own = [tile.rows for tile in (tiles.output, tiles.dq, tiles.dk_dv)]
    for rows in (*own, *(walk.step for walk in tiles[1:])):
        if tiles.segment % rows:
            raise ValueError(f"a segment of {tiles.segment} rows is not a multiple of {rows}")


def differ(got: Any, wanted: Any) -> bool:
    """Whether two sizes are known and differ."""
    return isinstance(got, int) and isinstance(wanted, int) and got != wanted


def _check_sizes(q: torch.Size, k: torch.Size, v: torch.Size) -> None:
    pairs = [("batch", q[0], k[0]), ("head width", q[3], k[3])]
    pairs += [(f"v dimension {axis}", v[axis], k[axis]) for axis in range(4)]
    for name, got, wanted in pairs:
        if differ(got, wanted):
            raise ValueError(f"{name} is {got}, but k has {wanted}: q {tuple(q)}, k {tuple(k)}, v {tuple(v)}")
    if any(isinstance(size, int) and size < 1 for size in (*q, *k)):
        raise ValueError(f"every size must be at least 1, got q {tuple(q)}, k {tuple(k)}")
    if isinstance(q[1], int) and isinstance(k[1], int) and q[1] % k[1]:
        raise ValueError(f"{q[1]} query heads are not a multiple of {k[1]} key/value heads")
    if isinstance(q[0], int) and isinstance(q[1], int) and q[0] * q[1] > MAX_GRID:
        raise ValueError(f"batch*heads = {q[0] * q[1]} exceeds the grid limit {MAX_GRID}")
