"""Launches of the mixture's kernels on random fp16 tensors, for Triton's interpreter to count.

`chosen` lists the experts of every token, so the caller knows how many rows each expert gets.
"""

import torch
from torch import Tensor

from tfcost.techniques.moe import dropless
from tfcost_kernels.moe import experts as launchers
from tfcost_kernels.moe.experts import Settings
from tfcost_kernels.moe.reference import moe_reference
from tfcost_kernels.moe.routing import plan
from tfcost_kernels.moe.tiles import Tile, Tiles


def tiles_of(rows: int, columns: int, inner: int) -> Tiles:
    """One tile for all kernels."""
    return Tiles(*[Tile(rows, columns, inner, 4, 1)] * 3)


def kernel(name: str, chosen: list[list[int]], d: int, f: int, count: int, tile: list[int]) -> None:
    """One launch, forward or backward, by its name in `LAUNCHES`."""
    k = len(chosen[0])
    x, scale, *weights = tensors(len(chosen), d, f, count, k)
    settings = Settings(plan(torch.tensor(chosen), count, tile[0]), k, "silu", tiles_of(*tile))
    launch(name, x, scale, *weights, settings)


def tensors(tokens: int, d: int, f: int, count: int, k: int) -> list[Tensor]:
    shapes = ((tokens, d), (tokens, k), (count, f, d), (count, f, d), (count, d, f))
    return [torch.randn(shape).to(torch.float32 if place == 1 else torch.half) for place, shape in enumerate(shapes)]


def launch(
    name: str, x: Tensor, scale: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, settings: Settings
) -> Tensor:  # fmt: skip
    """The launch called `name`, its inputs of the right shapes and of any values."""
    rows, f = settings.plan.order.shape[0], w_gate.shape[1]
    by_row = torch.ones((rows, f), dtype=x.dtype)
    if name.startswith("gate_up"):
        return launchers.launch_gate_up(x, w_gate, w_up, settings, save=name.endswith("for training"))[0]
    if name == "down":
        return launchers.launch_down(by_row, w_down, scale, settings)
    if name == "dhidden":
        return launchers.launch_dhidden(x, w_down, settings)
    if name == "activation":
        return launchers.launch_activation_backward(by_row, by_row, by_row, scale, settings)[0]
    if name == "dx":
        return launchers.launch_dx(by_row, by_row, w_gate, w_up, settings)
    weight, axes = (w_down, (2, 1)) if name == "dw_down" else (w_gate, (1, 2))
    return launchers.launch_weight_grad(by_row, x, weight, axes, settings)


LAUNCHES = ("gate_up", "gate_up for training", "down", "dhidden", "activation", "dx", "dw_gate", "dw_down")


def layer(chosen: list[list[int]], d: int, f: int, count: int, backward: bool) -> None:
    """The whole technique with the tiles of the table; the router is made so that it chooses as asked."""
    tokens, k = len(chosen), len(chosen[0])
    x = torch.randn(1, tokens, d) * 0.1
    for token, experts in enumerate(chosen):
        x[0, token, :count] = 0
        x[0, token, experts] = torch.arange(k, 0, -1) + 2.0
    weights = [tensor * 0.1 for tensor in tensors(tokens, d, f, count, k)[2:]]
    inputs = [x.half(), torch.eye(count, d).half(), *weights]
    if backward:
        inputs = [tensor.requires_grad_() for tensor in inputs]
    with torch.set_grad_enabled(backward):
        out = dropless(*inputs, k=k)
        wanted = moe_reference(x[0].half(), *inputs[1:], experts=torch.tensor(chosen), dtype=torch.float32)
    torch.testing.assert_close(out[0].float(), wanted, rtol=2e-2, atol=2e-2)
    if backward:
        torch.autograd.grad(out, inputs, torch.ones_like(out))
