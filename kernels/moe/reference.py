"""Plain torch mixture of experts, one expert at a time: the ground truth of the kernels.

In: x [T,d], router and expert weights. Out: [T,d].
"""

import torch
from torch import Tensor

from tfcost_kernels.ffn.reference import gated_reference


def moe_reference(
    x: Tensor, w_router: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, *,
    experts: Tensor, activation: str = "silu", dtype: torch.dtype | None = None,
) -> Tensor:  # fmt: skip
    """The layer for given `experts` [T,k], computed and returned in `dtype` (default: x's own).

    The choice is an argument because near ties fall differently in different dtypes.
    """
    dtype = dtype or x.dtype
    x, w_router, w_gate, w_up, w_down = (t.to(dtype) for t in (x, w_router, w_gate, w_up, w_down))
    chosen = (x @ w_router.T).softmax(-1).gather(1, experts)
    weights = chosen / chosen.sum(-1, keepdim=True)
    out = torch.zeros_like(x)
    for expert in range(w_gate.shape[0]):
        token, choice = (experts == expert).nonzero(as_tuple=True)
        rows = x[token]
        hidden = gated_reference(rows @ w_gate[expert].T, rows @ w_up[expert].T, activation=activation)
        out = out.index_add(0, token, weights[token, choice, None] * (hidden @ w_down[expert].T))
    return out
