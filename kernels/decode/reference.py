"""Plain torch attention over a slice of the caches: the ground truth of the decode kernels.

In: q [b,h,1,d_h], caches [b,h_kv,capacity,d_h]. Out: [b,h,1,d_h].
"""

import torch
from torch import Tensor

from tfcost_kernels.flash.reference import attention_reference


def decode_reference(
    q: Tensor, k_cache: Tensor, v_cache: Tensor, length: int, *, first: int = 0, dtype: torch.dtype | None = None
) -> Tensor:
    """Attention over the keys first..length-1, computed and returned in `dtype` (default: the inputs' own)."""
    if first >= length:
        return torch.zeros_like(q, dtype=dtype or q.dtype)
    return attention_reference(q, k_cache[:, :, first:length], v_cache[:, :, first:length], dtype=dtype)
