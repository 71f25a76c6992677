"""The launches of the grouped products and their autograd function: all experts' networks over routed tokens.

In: x [T,d], the router's weights [T,k] in fp32, w_gate and w_up [E,f,d], w_down [E,d,f], a plan. Out: [T,d].
Sizes may be symbolic (torch.SymInt): nothing here branches on T, d, f, E or k.
"""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from tfcost_kernels.moe.gradients import activation_backward_kernel, weight_grad_kernel
from tfcost_kernels.moe.products import gate_up_kernel, product_kernel
from tfcost_kernels.moe.routing import Plan
from tfcost_kernels.moe.tiles import BAND, ROW_BLOCK, Tile, Tiles


class Settings(NamedTuple):
    """What stays the same through a call: the plan, experts per token, the activation's name, the tiles."""

    plan: Plan
    choices: int
    activation: str
    tiles: Tiles


def experts(x: Tensor, scale: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, settings: Settings) -> Tensor:
    """Sum over each token's choices of scale * (act(x W_gate^T) * (x W_up^T)) W_down^T, [T,d] in x's dtype."""
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, scale, w_gate, w_up, w_down)):
        return _Experts.apply(x, scale, w_gate, w_up, w_down, settings)
    hidden, _, _ = launch_gate_up(x, w_gate, w_up, settings, save=False)
    return launch_down(hidden, w_down, scale, settings)


class _Experts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, settings: Settings
    ) -> Tensor:
        hidden, gate, up = launch_gate_up(x, w_gate, w_up, settings, save=True)
        ctx.save_for_backward(x, scale, w_gate, w_up, w_down, gate, up)
        ctx.settings = settings
        return launch_down(hidden, w_down, scale, settings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, w_gate, w_up, w_down, gate, up = ctx.saved_tensors
        settings, dout = ctx.settings, dout.contiguous()
        dhidden = launch_dhidden(dout, w_down, settings)
        dgate, dup, scaled, dscale = launch_activation_backward(gate, up, dhidden, scale, settings)
        need_x, _, need_gate, need_up, need_down, _ = ctx.needs_input_grad
        return (
            launch_dx(dgate, dup, w_gate, w_up, settings) if need_x else None,
            dscale,
            launch_weight_grad(dgate, x, w_gate, (1, 2), settings) if need_gate else None,
            launch_weight_grad(dup, x, w_up, (1, 2), settings) if need_up else None,
            launch_weight_grad(scaled, dout, w_down, (2, 1), settings) if need_down else None,
            None,
        )


def launch_gate_up(
    x: Tensor, w_gate: Tensor, w_up: Tensor, settings: Settings, *, save: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Hidden rows [T*k,f] sorted by expert and, if asked for, the products with w_gate and w_up behind them."""
    plan, tile = settings.plan, settings.tiles.gate_up
    f, d = w_gate.shape[1:]
    rows = plan.order.shape[0]
    hidden = _empty_like(x, rows, f)
    gate, up = (_empty_like(x, rows, f) if save else None for _ in "gu")
    gate_up_kernel[_row_grid(plan, f, tile)](
        x, w_gate, w_up, hidden, gate, up, plan.order, plan.expert, plan.first, plan.stop, plan.tiles,
        x.stride(0), *w_gate.stride(), *w_up.stride(), settings.choices, d, f,
        ACTIVATION=settings.activation, SAVE=save, BAND=BAND, BM=tile.rows, BN=tile.columns, BK=tile.inner,
        num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return hidden, gate, up


def launch_down(hidden: Tensor, w_down: Tensor, scale: Tensor, settings: Settings) -> Tensor:
    """The experts' outputs by slot, times the router's weights, summed over each token's slots: [T,d]."""
    _, d, _ = w_down.shape
    by_slot = _empty_like(hidden, scale.shape[0], settings.choices, d)
    _launch_product((hidden, w_down.transpose(1, 2)), None, scale, by_slot, settings, gather=False)
    return by_slot.sum(1)


def launch_dhidden(dout: Tensor, w_down: Tensor, settings: Settings) -> Tensor:
    """The gradient of every sorted row's hidden values, [T*k,f], still without the router's weight."""
    dhidden = _empty_like(dout, settings.plan.order.shape[0], w_down.shape[2])
    _launch_product((dout, w_down), None, None, dhidden, settings, gather=True)
    return dhidden


def launch_dx(dgate: Tensor, dup: Tensor, w_gate: Tensor, w_up: Tensor, settings: Settings) -> Tensor:
    """The gradient of x, [T,d]."""
    slots, d = settings.plan.order.shape[0], w_gate.shape[2]
    by_slot = _empty_like(dgate, slots // settings.choices, settings.choices, d)
    _launch_product((dgate, w_gate), (dup, w_up), None, by_slot, settings, gather=False)
    return by_slot.sum(1)


def launch_activation_backward(
    gate: Tensor, up: Tensor, dhidden: Tensor, scale: Tensor, settings: Settings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(dgate, dup, scale*hidden) [T*k,f], and dscale [T,k]."""
    dgate, dup, scaled, dscale = (torch.empty_like(t) for t in (gate, up, gate, scale))
    rows, f = gate.shape
    activation_backward_kernel[(rows,)](
        gate, up, dhidden, scale, settings.plan.order, dgate, dup, scaled, dscale, f,
        ACTIVATION=settings.activation, BLOCK=ROW_BLOCK, num_warps=4, num_stages=1,
    )  # fmt: skip
    return dgate, dup, scaled, dscale


def launch_weight_grad(
    by_row: Tensor, by_token: Tensor, weight: Tensor, axes: tuple[int, int], settings: Settings
) -> Tensor:
    """The gradient of `weight` [E,...]: rows' values along the first of `axes`, tokens' values along the second."""
    plan, tile = settings.plan, settings.tiles.weight_grad
    dw = torch.empty_like(weight)
    a_width, b_width = (weight.shape[axis] for axis in axes)
    bands = triton.cdiv(triton.cdiv(a_width, tile.rows), BAND)
    weight_grad_kernel[(BAND, triton.cdiv(b_width, tile.columns), weight.shape[0] * bands)](
        by_row, by_token, dw, plan.order, plan.starts, plan.ends,
        by_row.stride(0), by_token.stride(0), dw.stride(0), *(dw.stride(axis) for axis in axes),
        settings.choices, by_row.shape[0], a_width, b_width,
        BAND=BAND, BM=tile.rows, BN=tile.columns, BK=tile.inner, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    return dw


def _launch_product(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor] | None, scale: Tensor | None, out: Tensor,
    settings: Settings, *, gather: bool,
) -> None:  # fmt: skip
    """Fill `out` with A W (+ A2 W2); each pair is activations and weights [E, inner, columns] of any strides."""
    plan, tile = settings.plan, settings.tiles.product
    a, w = first
    a2, w2 = second or first
    inner, columns = w.shape[1:]
    product_kernel[_row_grid(plan, columns, tile)](
        a, w, a2, w2, scale, out, plan.order, plan.expert, plan.first, plan.stop, plan.tiles,
        a.stride(0), *w.stride(), *w2.stride(), settings.choices, inner, columns,
        GATHER=gather, SCALED=scale is not None, PAIRED=second is not None, BAND=BAND,
        BM=tile.rows, BN=tile.columns, BK=tile.inner, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip


def _row_grid(plan: Plan, columns: int, tile: Tile) -> tuple[int, int, int]:
    return BAND, triton.cdiv(columns, tile.columns), triton.cdiv(plan.expert.shape[0], BAND)


def _empty_like(tensor: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=tensor.dtype, device=tensor.device)
