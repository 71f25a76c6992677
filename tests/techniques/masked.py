"""Attention with a mask, row by row of the definition: the judge of techniques that choose which keys to see."""

import torch
from torch import Tensor


def masked_attention(q: Tensor, k: Tensor, v: Tensor, visible: Tensor) -> Tensor:
    """Softmax attention to the visible keys; a row without any is 0. visible: [b, h_kv, n, m], true where seen."""
    group = q.shape[1] // k.shape[1]
    k, v, visible = (tensor.repeat_interleave(group, dim=1) for tensor in (k, v, visible))
    weights = torch.exp(q @ k.mT * q.shape[-1] ** -0.5) * visible
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-30) @ v


def with_gradients(attend: object, *leaves: Tensor) -> list[Tensor]:
    """The result of `attend(*leaves)` and the gradients of the leaves, for a fixed random gradient of the result."""
    leaves = tuple(leaf.detach().requires_grad_() for leaf in leaves)
    out = attend(*leaves)  # type: ignore[operator]
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]
