"""RMS norm and rotary position embedding, written as the decoders of open models run them.

Positions come as two tables, cosines and sines, which are made once for all layers (Su et al. 2021, arXiv 2104.09864).
"""

import torch
from torch import Tensor

from tfcost.steps import step


def rms_norm(x: Tensor, scale: Tensor, name: str = "norm") -> Tensor:
    """RMS normalisation over the last dimension, in float32 (Zhang and Sennrich 2019). scale: [x.shape[-1]]."""
    with step(name):
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return scale * wide.to(x.dtype)


def turned(x: Tensor, cos: Tensor, sin: Tensor, partly: bool = False) -> Tensor:
    """Every head's columns turned by position. x: [b, n, heads, d_h]; cos, sin: [n, d_rope], with d_rope = d_h unless
    `partly`: columns beyond the first d_rope then stay as they are.
    """
    with step("rotary embedding"):
        cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
        if not partly:
            return x * cos + _half_turned(x) * sin
        width = cos.shape[-1]
        first, rest = x[..., :width], x[..., width:]
        return torch.cat([first * cos + _half_turned(first) * sin, rest], dim=-1)


def _half_turned(x: Tensor) -> Tensor:
    """(x1, x2) as (-x2, x1)."""
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], dim=-1)
