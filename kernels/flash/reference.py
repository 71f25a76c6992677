"""Plain torch attention: the ground truth of the flash kernels, and the reference of their error bound.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h]. Out: [b,h,n,d_h]. The score matrix is stored, so keep n and m small.
"""

import torch
from torch import Tensor


def attention_reference(
    q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False, dtype: torch.dtype | None = None
) -> Tensor:
    """softmax(q k^T / sqrt(d_h)) v, computed and returned in `dtype` (default: the inputs' own).

    Heads h must be a multiple of h_kv. `causal`: query i sees keys j <= i + m - n; a row without keys gives 0.
    """
    n, m, group = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    q, k, v = (tensor.to(dtype or tensor.dtype) for tensor in (q, k, v))
    k, v = (tensor.repeat_interleave(group, dim=1) for tensor in (k, v))
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if causal:
        hidden = ~torch.ones(n, m, dtype=torch.bool, device=q.device).tril(m - n)
        # The second fill turns the NaN weights of a row without keys into 0, in the gradient too.
        weights = scores.masked_fill(hidden, float("-inf")).softmax(-1).masked_fill(hidden, 0.0)
    else:
        weights = scores.softmax(-1)
    return weights @ v
