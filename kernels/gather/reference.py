"""Plain torch gather attention, one query tile at a time: the ground truth of the gather kernels.

In: q [b,h,n,d_h], k and v [b,h_kv,m,d_h], index [b,h_kv,ceil(n/B),listed]. Out: [b,h,n,d_h].
"""

import torch
from torch import Tensor


def gather_reference(
    q: Tensor, k: Tensor, v: Tensor, index: Tensor, *, block: int, causal: bool = False,
    dtype: torch.dtype | None = None,
) -> Tensor:  # fmt: skip
    """Each tile's queries against the listed blocks joined end to end, in `dtype` (default: the inputs' own)."""
    n, m, group = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    q, k, v = (tensor.to(dtype or tensor.dtype) for tensor in (q, k, v))
    k, v, index = (tensor.repeat_interleave(group, dim=1) for tensor in (k, v, index.long()))
    inside = torch.arange(block, device=q.device)
    outputs = []
    for tile, queries in enumerate(q.split(block, dim=2)):
        key = (index[:, :, tile, :, None] * block + inside).flatten(2)  # [b, h, listed*B]
        row = tile * block + torch.arange(queries.shape[2], device=q.device)
        hidden = ((key < 0) | (key >= m))[:, :, None, :]
        if causal:
            hidden = hidden | (key[:, :, None, :] > row[:, None] + (m - n))
        place = key.clamp(0, m - 1)[..., None].expand(-1, -1, -1, q.shape[-1])
        listed_k, listed_v = k.gather(2, place), v.gather(2, place)
        scores = (queries @ listed_k.mT * q.shape[-1] ** -0.5).masked_fill(hidden, float("-inf"))
        # The second fill turns the NaN weights of a row without keys into 0, in the gradient too.
        outputs.append(scores.softmax(-1).masked_fill(hidden, 0.0) @ listed_v)
    return torch.cat(outputs, dim=2)
