"""What the kernels refuse of dtypes, devices and sizes, each as a ValueError."""

from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from triton.runtime.jit import JITFunction

from tfcost_kernels.common.shapes import check_attention_shapes, check_filled

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
    family: str, kernel: Any, q: Tensor, k: Tensor, v: Tensor, *, widths: Collection[int],
    keys: str = "k", values: str = "v",
) -> None:  # fmt: skip
    """Raise ValueError unless the tensors pass `check_tensors` and `check_attention_shapes`, none is empty, and the
    head width is one of `widths`. `keys` and `values` are what the caller calls k and v.
    """
    check_attention_shapes(q, k, v, keys=keys, values=values)
    check_tensors(family, kernel, **{"q": q, keys: k, values: v})
    check_filled(q=q, **{keys: k})
    if q.shape[-1] not in widths:
        raise ValueError(f"head width {q.shape[-1]} is not one of {tuple(widths)}")


def check_heads_fit(q: Tensor) -> None:
    """Raise ValueError if one program per batch entry and head of q does not fit on a grid's second axis."""
    b, h = q.shape[:2]
    if isinstance(b, int) and isinstance(h, int) and b * h > MAX_GRID:
        raise ValueError(f"batch*heads = {b * h} exceeds the grid limit {MAX_GRID}")


def _listed(items: Iterable[Any]) -> str:
    return ", ".join(map(str, items))
