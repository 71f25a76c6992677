"""Plain torch gated activation: the ground truth of the kernels. In: gate and up. Out: act(gate)*up."""

import torch
import torch.nn.functional as F
from torch import Tensor

_FUNCTIONS = {"silu": F.silu, "gelu": F.gelu, "relu": torch.relu}


def gated_reference(gate: Tensor, up: Tensor, *, activation: str = "silu", dtype: torch.dtype | None = None) -> Tensor:
    """act(gate)*up, computed and returned in `dtype` (default: the inputs' own)."""
    dtype = dtype or gate.dtype
    return _FUNCTIONS[activation](gate.to(dtype)) * up.to(dtype)
