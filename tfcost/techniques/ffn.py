"""The feed-forward network: two linear layers around an activation, or three with a gate (SwiGLU, Shazeer 2020).

`fused` computes activation and gate in one Triton kernel (`kernels/ffn`), so that neither is stored by itself.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.derive.subject import Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques.layers import residual
from tfcost.techniques.variants import SURROUNDINGS, norm_weights
from tfcost_kernels.ffn import gated_activation

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "gelu": F.gelu, "swiglu": F.silu}


def feed_forward(
    x: Tensor, w_1: Tensor, w_2: Tensor, activation: str,
    b_1: Tensor | None = None, b_2: Tensor | None = None, w_gate: Tensor | None = None, b_gate: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """activation(xW₁ᵀ + b₁)W₂ᵀ + b₂, times a linear gate for SwiGLU. x: [b, n, d]; w_1, w_gate: [f, d]; w_2: [d, f]."""
    with step("first layer"):
        hidden = F.linear(x, w_1, b_1)
    with step("activation"):
        hidden = ACTIVATIONS[activation](hidden)
    if activation == "swiglu":
        assert w_gate is not None
        with step("gate"):
            hidden = hidden * F.linear(x, w_gate, b_gate)
    with step("second layer"):
        return F.linear(hidden, w_2, b_2)


def fused_feed_forward(x: Tensor, w_1: Tensor, w_2: Tensor, w_gate: Tensor) -> Tensor:
    """`feed_forward` with SwiGLU and no biases, activation and gate in one kernel. Shapes as there."""
    with step("first layer"):
        hidden = F.linear(x, w_1)
    with step("gate"):
        gate = F.linear(x, w_gate)
    with step("gated activation kernel"):
        hidden = gated_activation(hidden, gate)
    with step("second layer"):
        return F.linear(hidden, w_2)


def _weights(activation: str, bias: bool) -> dict[str, Shape]:
    gated = activation == "swiglu"
    shapes = {"w_1": "f,d", "w_2": "d,f", **({"w_gate": "f,d"} if gated else {})}
    if bias:
        shapes |= {"b_1": "f", "b_2": "d", **({"b_gate": "f"} if gated else {})}
    return {name: Shape(shape, "parameter") for name, shape in shapes.items()}


def _variants() -> Iterator[Variant]:
    sizes = ("b", "n", "d", "f")
    for activation in ACTIVATIONS:
        run = partial(feed_forward, activation=activation)
        for bias in (False, True):
            arguments = {"x": Shape("b,n,d"), **_weights(activation, bias)}
            options = {"activation": activation, "bias": bias, "fused": False}
            yield Variant("layer", options, Subject(run, arguments, sizes))
        for norm, bias in (*SURROUNDINGS, ("none", True)):
            arguments = {"x": Shape("b,n,d"), **_weights(activation, bias), **norm_weights(norm)}
            options = {"activation": activation, "norm": norm, "bias": bias, "fused": False}
            yield Variant("block", options, Subject(_block(activation, norm), arguments, sizes), part="ffn")
    yield Variant(
        "layer", {"activation": "swiglu", "bias": False, "fused": True},
        Subject(fused_feed_forward, {"x": Shape("b,n,d"), **_weights("swiglu", bias=False)}, sizes),
        dtypes=("bfloat16", "float16"),
    )  # fmt: skip


def _block(activation: str, norm: str) -> Callable[..., Tensor]:
    def block(x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None, **weights: Any) -> Tensor:
        return residual(x, lambda y: feed_forward(y, activation=activation, **weights), norm, scale, shift)

    return block


TECHNIQUE = Technique(
    name="ffn",
    title="Feed-forward network",
    section="1.2",
    implementation="torch",
    summary="Two linear layers around an activation; SwiGLU multiplies a second linear layer onto the first.",
    options={
        "activation": Option(tuple(ACTIVATIONS), "relu", "the nonlinearity; swiglu adds a gate"),
        "bias": Option((False, True), False, "linear layers with biases"),
        "fused": Option((False, True), False, "swiglu's activation and gate in one Triton kernel"),
    },
    claims=(
        Claim("1.2.2", "time", Formula("n*d**2"), "first linear layer: O(4nd²) = O(nd²)", step="first layer"),
        Claim("1.2.2", "time", Formula("n*d**2"), "second linear layer: O(4nd²) = O(nd²)", step="second layer"),
        Claim("1.2.2", "time", Formula("n*d**2"), "total time O(nd²)"),
        Claim("1.2.3", "space", Formula("n*d + d**2"), "total space O(nd + d²)"),
    ),
    variants=_variants,
)
