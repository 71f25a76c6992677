"""Plain torch linear attention: the ground truth of the kernels, and the reference of their error bound.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h]. Out: [b,h,n,d_h]. The weights are stored, so keep n and m small.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost_kernels.linear.features import EPSILON

_MAPS = {"relu": torch.relu, "exp": torch.exp, "elu+1": lambda x: F.elu(x) + 1}


def linear_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = False,
    feature_map: str = "elu+1",
    normalise: bool = True,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Weights φ(q)φ(k)ᵀ, each row divided by its sum + EPSILON if `normalise`, times v, all in `dtype` (default: q's).

    Heads h must be a multiple of h_kv. `causal`: query i sees keys j <= i, and n = m.
    """
    group = q.shape[1] // k.shape[1]
    q, k, v = (tensor.to(dtype or tensor.dtype) for tensor in (q, k, v))
    k, v = (tensor.repeat_interleave(group, dim=1) for tensor in (k, v))
    weights = _MAPS[feature_map](q) @ _MAPS[feature_map](k).transpose(-2, -1)
    if causal:
        weights = weights.tril()
    o = weights @ v
    return o / (weights.sum(-1, keepdim=True) + EPSILON) if normalise else o
