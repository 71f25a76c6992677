"""Which query may see which key: one predicate per mask. It makes the reference's mask (on index tensors) and is what
the exact count of allowed pairs is derived from (on symbols).

Queries stand at the last keys: query i at the position of key i + m - n.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp
import torch
from torch import Tensor

# (i, j, n, m, sizes of its own) -> whether query i of n may see key j of m: tensors in, tensor out; symbols in,
# relation out.
Predicate = Callable[..., Any]


def causal(i: Any, j: Any, n: Any, m: Any) -> Any:
    """No key later than the query, the last query standing at the last key."""
    return j <= i + (m - n)


def window(i: Any, j: Any, n: Any, m: Any, w: Any) -> Any:
    """`w` keys on either side, and the query's own."""
    position = i + (m - n)
    return (j >= position - w) & (j <= position + w)


def causal_window(i: Any, j: Any, n: Any, m: Any, w: Any) -> Any:
    """The last `w` keys and the query's own."""
    return causal(i, j, n, m) & (j >= i + (m - n) - w)


def block(i: Any, j: Any, n: Any, m: Any, c: Any) -> Any:
    """The keys of the query's own block of `c` positions; blocks do not overlap."""
    first = (i + (m - n)) // c * c
    return (j >= first) & (j < first + c)


def causal_block(i: Any, j: Any, n: Any, m: Any, c: Any) -> Any:
    """The keys of the query's own block up to its own."""
    return causal(i, j, n, m) & (j >= (i + (m - n)) // c * c)


def dilated(i: Any, j: Any, n: Any, m: Any, w: Any, s: Any) -> Any:
    """Every `s`-th key, `w` of them on either side, and the query's own."""
    return window(i, j, n, m, w * s) & divides(s, i + (m - n) - j)


def causal_dilated(i: Any, j: Any, n: Any, m: Any, w: Any, s: Any) -> Any:
    """Every `s`-th of the earlier keys, the last `w` of them, and the query's own."""
    return causal_window(i, j, n, m, w * s) & divides(s, i + (m - n) - j)


def strided(i: Any, j: Any, n: Any, m: Any, s: Any) -> Any:
    """The nearest `s` keys on either side, every `s`-th key beyond, and the query's own (Child et al. 2019)."""
    return window(i, j, n, m, s) | divides(s, i + (m - n) - j)


def causal_strided(i: Any, j: Any, n: Any, m: Any, s: Any) -> Any:
    """The last `s` keys, every `s`-th of those before, and the query's own (Child et al. 2019)."""
    return causal(i, j, n, m) & ((j >= i + (m - n) - s) | divides(s, i + (m - n) - j))


def longformer(i: Any, j: Any, n: Any, m: Any, w: Any, g: Any) -> Any:
    """A window, and `g` global tokens in front that see every key and are seen by every query (Beltagy et al. 2020)."""
    return window(i, j, n, m, w) | (j < g) | (i < g)


def causal_longformer(i: Any, j: Any, n: Any, m: Any, w: Any, g: Any) -> Any:
    """The same without later keys."""
    return causal(i, j, n, m) & ((j >= i + (m - n) - w) | (j < g))


def divides(divisor: Any, difference: Any) -> Any:
    """Whether `divisor` divides `difference`."""
    remainder = difference % divisor
    return sp.Eq(remainder, 0) if isinstance(remainder, sp.Basic) else remainder == 0


def hidden(predicate: Predicate, n: int, m: int, device: torch.device | None = None, **sizes: int) -> Tensor:
    """[n, m], true where the predicate does not allow the pair."""
    queries = torch.arange(n, device=device).unsqueeze(1)
    keys = torch.arange(m, device=device).unsqueeze(0)
    allowed: Tensor = predicate(queries, keys, n, m, **sizes)
    return ~allowed
