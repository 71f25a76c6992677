"""The fused feed-forward network on random fp16 tensors, for Triton's interpreter to count and to check values with."""

import torch

from tfcost.techniques.ffn import feed_forward, fused_feed_forward


def run(b: int, n: int, d: int, f: int, mode: str) -> None:
    """Calls the network: "forward" without gradients, "training" with, "both" with the backward pass after it.

    AssertionError if the output or a gradient is not that of the same network in plain torch and fp32.
    """
    torch.manual_seed(0)
    shapes = {"x": (b, n, d), "w_1": (f, d), "w_2": (d, f), "w_gate": (f, d)}
    inputs = {name: torch.randn(shape).half().requires_grad_(mode != "forward") for name, shape in shapes.items()}
    grad = torch.randn(b, n, d)
    with torch.set_grad_enabled(mode != "forward"):
        out = fused_feed_forward(**inputs)
    wide = {name: tensor.detach().float().requires_grad_() for name, tensor in inputs.items()}
    wanted = feed_forward(**wide, activation="swiglu")
    assert_close(out, wanted)
    if mode == "both":
        gradients = torch.autograd.grad(out, list(inputs.values()), grad.half())
        for one, other in zip(gradients, torch.autograd.grad(wanted, list(wide.values()), grad), strict=True):
            assert_close(one, other)


def assert_close(half: torch.Tensor, single: torch.Tensor) -> None:
    """Rounding of intermediate results shows in sums of products: it is measured by the largest value."""
    assert (half.float() - single).abs().max() <= 1e-2 * single.abs().max()
