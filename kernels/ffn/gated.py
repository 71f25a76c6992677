"""The launcher of the gated activation and its autograd function.

In: gate and up of one shape. Out: act(gate)*up in that shape. Sizes may be symbolic (torch.SymInt).
"""

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from tfcost_kernels.common.checks import check_tensors
from tfcost_kernels.common.shapes import differ
from tfcost_kernels.ffn.activations import ACTIVATIONS
from tfcost_kernels.ffn.kernels import gated_backward_kernel, gated_kernel

# Eight elements per thread: one 16-byte access of a half-precision array.
BLOCK, WARPS = 1024, 4


def gated_activation(gate: Tensor, up: Tensor, *, activation: str = "silu") -> Tensor:
    """act(gate)*up, elementwise: SwiGLU, GEGLU or ReGLU without a stored act(gate) (Shazeer, arXiv 2002.05202).

    `gate` and `up` have one shape of any rank and one dtype; the result is contiguous in both. `activation` is "silu",
    "gelu" (exact, by erf) or "relu". Inputs that are not contiguous are copied first.
    Raises ValueError for other activations, shapes, dtypes or devices.
    """
    _check(gate, up, activation)
    gate, up = gate.contiguous(), up.contiguous()
    if torch.is_grad_enabled() and (gate.requires_grad or up.requires_grad):
        return _GatedActivation.apply(gate, up, activation)
    return launch_gated(gate, up, activation)


class _GatedActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, activation: str) -> Tensor:
        ctx.save_for_backward(gate, up)
        ctx.activation = activation
        return launch_gated(gate, up, activation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, Tensor, None]:
        gate, up = ctx.saved_tensors
        return *launch_gated_backward(gate, up, dout.contiguous(), ctx.activation), None


def launch_gated(gate: Tensor, up: Tensor, activation: str) -> Tensor:
    """act(gate)*up of contiguous inputs."""
    out = torch.empty_like(gate)
    total = gate.numel()
    gated_kernel[(triton.cdiv(total, BLOCK),)](
        gate, up, out, total, ACTIVATION=activation, BLOCK=BLOCK, num_warps=WARPS, num_stages=1
    )
    return out


def launch_gated_backward(gate: Tensor, up: Tensor, dout: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """(dgate, dup) of contiguous inputs."""
    dgate, dup = torch.empty_like(gate), torch.empty_like(up)
    total = gate.numel()
    gated_backward_kernel[(triton.cdiv(total, BLOCK),)](
        gate, up, dout, dgate, dup, total, ACTIVATION=activation, BLOCK=BLOCK, num_warps=WARPS, num_stages=1
    )
    return dgate, dup


def _check(gate: Tensor, up: Tensor, activation: str) -> None:
    """Raise ValueError for inputs that the kernels cannot take."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation '{activation}' is not one of {ACTIVATIONS}")
    check_tensors("ffn", gated_kernel, gate=gate, up=up)
    if gate.ndim != up.ndim or any(map(differ, gate.shape, up.shape)):
        raise ValueError(f"gate and up must have one shape, got {tuple(gate.shape)}, {tuple(up.shape)}")
