"""Which query may see which key: one predicate per mask. It makes the reference's mask (on index tensors) and is what
the exact count of allowed pairs is derived from (on symbols).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# (i, j, n, m) -> whether query i of n may see key j of m: tensors in, tensor out; symbols in, relation out.
Predicate = Callable[[Any, Any, Any, Any], Any]


def causal(i: Any, j: Any, n: Any, m: Any) -> Any:
    """No key later than the query, the last query standing at the last key."""
    return j <= i + (m - n)


def hidden(predicate: Predicate, n: int, m: int) -> Tensor:
    """[n, m], true where the predicate does not allow the pair."""
    queries = torch.arange(n).unsqueeze(1)
    keys = torch.arange(m).unsqueeze(0)
    allowed: Tensor = predicate(queries, keys, n, m)
    return ~allowed
