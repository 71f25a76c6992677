"""The launchers of the AdamW kernels. In: flat weights, gradients and what the optimizer keeps, changed in place."""

from dataclasses import astuple, dataclass

import torch
import triton
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from triton.runtime.jit import JITFunction

from tfcost_kernels.common.checks import DTYPES
from tfcost_kernels.common.shapes import differ
from tfcost_kernels.optimizer.kernels import adamw_8bit_kernel, adamw_mixed_kernel

BLOCK = 256
"""Elements that share a scale, and elements of one program."""

_MIXED_BLOCK, _WARPS = 1024, 4


@dataclass(frozen=True, slots=True)
class AdamW:
    """The numbers of one step (Loshchilov and Hutter 2019, algorithm 2)."""

    rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.01
    step: int = 1

    @property
    def scalars(self) -> tuple[float, ...]:
        """What the kernels take."""
        *numbers, step = astuple(self)
        return (*numbers, 1 - self.beta_1**step, 1 - self.beta_2**step)


def adamw_mixed(
    weight: Tensor, gradient: Tensor, master: Tensor, first: Tensor, second: Tensor, step: AdamW | None = None
) -> Tensor:
    """One AdamW step of 16-bit weights with a master copy and moments in float32. All: [N]; returns weight.

    Raises ValueError for other dtypes, shapes or devices.
    """
    _check(weight, gradient, {"master": master, "first": first, "second": second}, torch.float32)
    total = weight.numel()
    adamw_mixed_kernel[(triton.cdiv(total, _MIXED_BLOCK),)](
        weight, gradient, master, first, second, total, *(step or AdamW()).scalars,
        BLOCK=_MIXED_BLOCK, num_warps=_WARPS, num_stages=1,
    )  # fmt: skip
    return weight


def adamw_8bit(
    weight: Tensor, gradient: Tensor, first: Tensor, second: Tensor, first_scale: Tensor, second_scale: Tensor,
    master: Tensor | None = None, step: AdamW | None = None,
) -> Tensor:  # fmt: skip
    """One AdamW step whose moments are a byte each, with a scale for every `BLOCK` elements (Dettmers et al. 2022).

    weight, gradient: [N]; first: [N] int8; second: [N] uint8; scales: [ceil(N/BLOCK)] float32; master: [N] float32, the
    weights in full, or None. Returns weight. Raises ValueError for other dtypes, shapes or devices.
    """
    _check(weight, gradient, {} if master is None else {"master": master}, torch.float32)
    _check(weight, gradient, {"first": first}, torch.int8)
    _check(weight, gradient, {"second": second}, torch.uint8)
    total = weight.numel()
    adamw_8bit_kernel[(triton.cdiv(total, BLOCK),)](
        weight, gradient, weight if master is None else master, first, second, first_scale, second_scale, total,
        *(step or AdamW()).scalars, MIXED=master is not None, BLOCK=BLOCK, num_warps=_WARPS, num_stages=1,
    )  # fmt: skip
    return weight


def _check(weight: Tensor, gradient: Tensor, state: dict[str, Tensor], kind: torch.dtype) -> None:
    """Raise ValueError for arrays that the kernels cannot take."""
    if weight.dtype not in DTYPES or gradient.dtype != weight.dtype:
        raise ValueError(f"weight and gradient must share one dtype of {DTYPES}, got {weight.dtype}, {gradient.dtype}")
    for name, tensor in {"gradient": gradient, **state}.items():
        if name != "gradient" and tensor.dtype != kind:
            raise ValueError(f"{name} must be {kind}, got {tensor.dtype}")
        if tensor.ndim != 1 or weight.ndim != 1 or differ(tensor.shape[0], weight.shape[0]):
            raise ValueError(f"{name} must have the weight's shape, got {tuple(tensor.shape)}")
        if tensor.device != weight.device:
            raise ValueError(f"{name} must be on {weight.device}, got {tensor.device}")
    if (
        isinstance(adamw_8bit_kernel, JITFunction)
        and weight.device.type != "cuda"
        and not isinstance(weight, FakeTensor)
    ):
        raise ValueError(f"the optimizer kernels need a CUDA device (or TRITON_INTERPRET=1), got {weight.device}")
