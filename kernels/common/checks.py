"""What the kernels refuse: shapes, dtypes and devices, each as a ValueError.

Sizes are compared only where they are known: comparing a symbolic one would fix it to its example value.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from triton.runtime.jit import JITFunction

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
MAX_GRID = 65535  # CUDA's limit on a grid's second and third axis


def check_tensors(family: str, kernel: Any, **tensors: Tensor) -> None:
    """Raise ValueError unless the named tensors have one of DTYPES and one device that the `family`'s kernels run on.

    `kernel` is any of them: interpreted ones run on every device, and fake tensors have none.
    """
    names, (first, *_) = ", ".join(tensors), tensors.values()
    dtypes, devices = [tensor.dtype for tensor in tensors.values()], [tensor.device for tensor in tensors.values()]
    if first.dtype not in DTYPES or len(set(dtypes)) > 1:
        raise ValueError(f"{names} must share one dtype of {DTYPES}, got {_listed(dtypes)}")
    if len(set(devices)) > 1:
        raise ValueError(f"{names} must be on one device, got {_listed(devices)}")
    if isinstance(kernel, JITFunction) and first.device.type != "cuda" and not isinstance(first, FakeTensor):
        raise ValueError(f"the {family} kernels need a CUDA device (or TRITON_INTERPRET=1), got {first.device}")


def check_attention(
    family: str,
    kernel: Any,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    widths: Iterable[int],
    keys: str = "k",
    values: str = "v",
) -> None:
    """Raise ValueError unless q is [b,h,n,d_h], k and v are [b,h_kv,m,d_h], h_kv divides h, and d_h is one of `widths`.

    `keys` and `values` are what the caller calls k and v. Nothing may be empty.
    """
    if not q.ndim == k.ndim == v.ndim == 4:
        dims = f"{q.ndim}, {k.ndim}, {v.ndim} dims"
        raise ValueError(f"q, {keys}, {values} must be [batch, heads, rows, head width], got {dims}")
    check_tensors(family, kernel, **{"q": q, keys: k, values: v})
    if q.shape[-1] not in widths:
        raise ValueError(f"head width {q.shape[-1]} is not one of {tuple(widths)}")
    equal = [("batch", q.shape[0], k.shape[0]), ("head width", q.shape[3], k.shape[3])]
    equal += [(f"{values} dimension {axis}", v.shape[axis], k.shape[axis]) for axis in range(4)]
    shapes = f"q {tuple(q.shape)}, {keys} {tuple(k.shape)}, {values} {tuple(v.shape)}"
    for name, got, wanted in equal:
        if differ(got, wanted):
            raise ValueError(f"{name} is {got}, but {keys} has {wanted}: {shapes}")
    check_filled(q=q, **{keys: k})
    h, h_kv = q.shape[1], k.shape[1]
    if isinstance(h, int) and isinstance(h_kv, int) and h % h_kv:
        raise ValueError(f"{h} query heads are not a multiple of {h_kv} key/value heads")


def check_filled(**tensors: Tensor) -> None:
    """Raise ValueError if a known size of one of the named tensors is 0."""
    if any(isinstance(size, int) and size < 1 for tensor in tensors.values() for size in tensor.shape):
        shapes = _listed(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"every size must be at least 1, got {shapes}")


def check_heads_fit(q: Tensor) -> None:
    """Raise ValueError if one program per batch entry and head of q does not fit on a grid's second axis."""
    b, h = q.shape[:2]
    if isinstance(b, int) and isinstance(h, int) and b * h > MAX_GRID:
        raise ValueError(f"batch*heads = {b * h} exceeds the grid limit {MAX_GRID}")


def differ(got: Any, wanted: Any) -> bool:
    """Whether two sizes are known and differ."""
    return isinstance(got, int) and isinstance(wanted, int) and got != wanted


def _listed(items: Iterable[Any]) -> str:
    return ", ".join(map(str, items))
