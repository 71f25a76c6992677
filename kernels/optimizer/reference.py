"""Plain torch AdamW: the ground truth of the kernels, and the codes of 8-bit moments written out."""

import torch
from torch import Tensor

from tfcost_kernels.optimizer.adamw import BLOCK, AdamW


def adamw_reference(
    weight: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: AdamW
) -> tuple[Tensor, Tensor, Tensor]:
    """The new weight and moments, in the dtype of `weight`. All: [N]."""
    first = step.beta_1 * first + (1 - step.beta_1) * gradient
    second = step.beta_2 * second + (1 - step.beta_2) * gradient**2
    size = (second / (1 - step.beta_2**step.step)).sqrt() + step.epsilon
    weight = weight * (1 - step.rate * step.decay) - step.rate * first / (1 - step.beta_1**step.step) / size
    return weight, first, second


def decoded(code: Tensor, scale: Tensor) -> Tensor:
    """Moments from their bytes: int8 holds a signed square root of the share of the scale, uint8 a fourth root."""
    each = scale.repeat_interleave(BLOCK)[: len(code)].double()
    if code.dtype == torch.int8:
        share = code.double() / 127
        return share * share.abs() * each
    return (code.double() / 255) ** 4 * each


def scales_of(value: Tensor) -> Tensor:
    """The largest absolute value of every block."""
    padded = torch.nn.functional.pad(value.abs(), (0, -len(value) % BLOCK))
    return padded.view(-1, BLOCK).amax(1)
