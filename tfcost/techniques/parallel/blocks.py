"""A residual block on one of T GPUs: every GPU has h/T heads, or f/T of the hidden width, and all weights for them.

Two forms (see `exchange`): in tensor parallelism x [b, n, d] is whole on every GPU and the core of a block is the code
of one GPU; in sequence parallelism x [b·n/T, d] are this GPU's rows of the b·n, norms and residuals included.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.collectives import Group
from tfcost.steps import step
from tfcost.techniques.ffn import ACTIVATIONS, feed_forward
from tfcost.techniques.layers import Core, attention_layer, residual
from tfcost.techniques.parallel.exchange import copied, gathered_linears, reduced, scattered


def tensor_attention(
    x: Tensor, group: Group, norm: str, scale: Tensor | None = None, shift: Tensor | None = None,
    b_o: Tensor | None = None, **attention: Any,
) -> Tensor:  # fmt: skip
    """Attention with residual and norm. x: [b, n, d]; scale, shift, b_o: [d]; `attention`: the other arguments of
    `attention_layer`, for this GPU's heads.
    """

    def inner(y: Tensor) -> Tensor:
        return _with_bias(reduced(attention_layer(copied(y, group), **attention), group), b_o)

    return residual(x, inner, norm, scale, shift)


def tensor_ffn(
    x: Tensor, group: Group, norm: str, scale: Tensor | None = None, shift: Tensor | None = None,
    b_2: Tensor | None = None, **network: Any,
) -> Tensor:  # fmt: skip
    """Feed-forward network with residual and norm. x: [b, n, d]; scale, shift, b_2: [d]; `network`: the other arguments
    of `feed_forward`, with f/T for f.
    """

    def inner(y: Tensor) -> Tensor:
        return _with_bias(reduced(feed_forward(copied(y, group), **network), group), b_2)

    return residual(x, inner, norm, scale, shift)


def sequence_attention(
    x: Tensor, group: Group, norm: str,
    w_q: Tensor, w_k: Tensor, w_v: Tensor, w_o: Tensor, b: int, n: int, h: int, h_kv: int, d_h: int,
    core: Core, strided: bool, scale: Tensor | None = None, shift: Tensor | None = None,
    b_q: Tensor | None = None, b_k: Tensor | None = None, b_v: Tensor | None = None, b_o: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """As `tensor_attention`, x [b·n/T, d] this GPU's rows; h, h_kv are its heads, and all b·n rows go through them."""

    def heads(rows: Tensor, count: int) -> Tensor:
        split = rows.view(b, n, count, d_h).transpose(1, 2)
        return split if strided else split.clone(memory_format=torch.contiguous_format)

    def inner(y: Tensor) -> Tensor:
        with step("projections"):
            q, k, v = gathered_linears(y, (w_q, w_k, w_v), (b_q, b_k, b_v), group, b * n)
            q, k, v = heads(q, h), heads(k, h_kv), heads(v, h_kv)
        out = core(q, k, v).transpose(1, 2)
        with step("output projection"):
            merged = out if strided else out.clone(memory_format=torch.contiguous_format)
            return _own_rows(F.linear(merged.view(b * n, h * d_h), w_o), b_o, group, x.shape[0])

    return residual(x, inner, norm, *own_weights(group, scale, shift))


def sequence_ffn(
    x: Tensor, group: Group, norm: str, activation: str, w_1: Tensor, w_2: Tensor, rows: int,
    scale: Tensor | None = None, shift: Tensor | None = None, b_1: Tensor | None = None, b_2: Tensor | None = None,
    w_gate: Tensor | None = None, b_gate: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """As `tensor_ffn`, x [rows/T, d] this GPU's rows of all `rows`, which go through f/T of the hidden width."""
    layers = [(w_1, b_1)] if w_gate is None else [(w_1, b_1), (w_gate, b_gate)]

    def inner(y: Tensor) -> Tensor:
        with step("first layer"):
            hidden, *gate = gathered_linears(y, [w for w, _ in layers], [bias for _, bias in layers], group, rows)
        with step("activation"):
            hidden = ACTIVATIONS[activation](hidden)
        if gate:
            with step("gate"):
                hidden = hidden * gate[0]
        with step("second layer"):
            return _own_rows(F.linear(hidden, w_2), b_2, group, x.shape[0])

    return residual(x, inner, norm, *own_weights(group, scale, shift))


def own_weights(group: Group, *weights: Tensor | None) -> tuple[Tensor | None, ...]:
    """Weights that every GPU uses on rows of its own: their gradients are summed over the GPUs."""
    return tuple(None if weight is None else copied(weight, group) for weight in weights)


def _own_rows(partial: Tensor, bias: Tensor | None, group: Group, rows: int) -> Tensor:
    return _with_bias(scattered(partial, group, rows), *own_weights(group, bias))


def _with_bias(out: Tensor, bias: Tensor | None) -> Tensor:
    """The bias is added once the GPUs' parts are summed, else it would be added once per GPU."""
    return out if bias is None else out.add_(bias)
