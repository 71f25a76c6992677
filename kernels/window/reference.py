"""Plain torch attention under a mask: the ground truth of the window kernels, and the reference of their error bound.

A mask is a predicate (i, j, n, m) -> whether query i of n may see key j of m. Query i stands at position i + m - n.
The score matrix is stored, so keep n and m small.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Predicate = Callable[[Any, Any, Any, Any], Any]


def window(w: int, causal: bool) -> Predicate:
    """Keys at most w positions away, if causal no later ones."""
    return lambda i, j, n, m: (j >= i + (m - n) - w) & (j <= i + (m - n) + (0 if causal else w))


def block_local(c: int, causal: bool) -> Predicate:
    """Keys of the query's own block of c positions."""

    def allowed(i: Any, j: Any, n: Any, m: Any) -> Any:
        own_block = (i + (m - n)) // c == j // c
        return own_block & (j <= i + (m - n)) if causal else own_block

    return allowed


def dilated(w: int, r: int, causal: bool) -> Predicate:
    """Keys r*t positions away, 0 <= t <= w."""
    return lambda i, j, n, m: window(r * w, causal)(i, j, n, m) & ((i + (m - n) - j) % r == 0)


def strided(s: int, causal: bool) -> Predicate:
    """Keys at most s positions away, and all that are a multiple of s away."""

    def allowed(i: Any, j: Any, n: Any, m: Any) -> Any:
        seen = window(s, causal)(i, j, n, m) | ((i + (m - n) - j) % s == 0)
        return seen & (j <= i + (m - n)) if causal else seen

    return allowed


def longformer(w: int, g: int, causal: bool) -> Predicate:
    """A window, the first g keys for every query, and every key for queries at the first g positions."""

    def allowed(i: Any, j: Any, n: Any, m: Any) -> Any:
        seen = window(w, causal)(i, j, n, m) | (j < g) | (i + (m - n) < g)
        return seen & (j <= i + (m - n)) if causal else seen

    return allowed


def masked_attention(
    q: Tensor, k: Tensor, v: Tensor, predicate: Predicate, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Softmax(q k^T / sqrt(d_h)) v over the allowed pairs, computed and returned in `dtype` (default: the inputs').

    q [b,h,n,d_h], k and v [b,h_kv,m,d_h] with h a multiple of h_kv; a row without keys gives 0.
    """
    n, m, group = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    q, k, v = (tensor.to(dtype or tensor.dtype) for tensor in (q, k, v))
    k, v = (tensor.repeat_interleave(group, dim=1) for tensor in (k, v))
    i, j = (torch.arange(size, device=q.device) for size in (n, m))
    hidden = ~predicate(i[:, None], j[None, :], n, m)
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    # The second fill turns the NaN weights of a row without keys into 0, in the gradient too.
    return scores.masked_fill(hidden, float("-inf")).softmax(-1).masked_fill(hidden, 0.0) @ v
