"""What attention refuses of shapes, each as a ValueError; plain torch, so that references can ask for the same.

Sizes are compared only where they are known: comparing a symbolic one would fix it to its example value.
"""

from typing import Any

from torch import Tensor


def check_attention_shapes(q: Tensor, k: Tensor, v: Tensor, *, keys: str = "k", values: str = "v") -> None:
    """Raise ValueError unless q is [b,h,n,d_h], k and v are [b,h_kv,m,d_h], and h_kv divides h.

    `keys` and `values` are what the caller calls k and v.
    """
    if not q.ndim == k.ndim == v.ndim == 4:
        dims = f"{q.ndim}, {k.ndim}, {v.ndim} dims"
        raise ValueError(f"q, {keys}, {values} must be [batch, heads, rows, head width], got {dims}")
    equal = [("batch", q.shape[0], k.shape[0]), ("head width", q.shape[3], k.shape[3])]
    equal += [(f"{values} dimension {axis}", v.shape[axis], k.shape[axis]) for axis in range(4)]
    for name, got, wanted in equal:
        if differ(got, wanted):
            shapes = f"q {tuple(q.shape)}, {keys} {tuple(k.shape)}, {values} {tuple(v.shape)}"
            raise ValueError(f"{name} is {got}, but {keys} has {wanted}: {shapes}")
    h, h_kv = q.shape[1], k.shape[1]
    if isinstance(h, int) and isinstance(h_kv, int) and h != h_kv and (h_kv == 0 or h % h_kv):
        raise ValueError(f"{h} query heads are not a multiple of {h_kv} key/value heads")


def check_filled(**tensors: Tensor) -> None:
    """Raise ValueError if a known size of one of the named tensors is 0."""
    if any(isinstance(size, int) and size < 1 for tensor in tensors.values() for size in tensor.shape):
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"every size must be at least 1, got {shapes}")


def differ(got: Any, wanted: Any) -> bool:
    """Whether two sizes are known and differ."""
    return isinstance(got, int) and isinstance(wanted, int) and got != wanted
