"""Feed-forward blocks of open decoders: RMS norm, a gated or plain network, a mixture of experts; one row per kind.

Experts are batched matrix products over c rows for each of the E_a experts that any token goes to: all E of them, or in
a decode step as many as there are tokens and choices. c is a capacity (Lepikhin et al. 2020), or the even share.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.derive.subject import Size, Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.steps import step
from tfcost.techniques.decoder_attention import norm_shapes, surrounded
from tfcost.techniques.moe import capacity_places

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": F.gelu,
    "swiglu": F.silu,
    "geglu": partial(F.gelu, approximate="tanh"),
}
GATED = ("swiglu", "geglu")


@dataclass(frozen=True, slots=True)
class Experts:
    """`shared`: experts that every token goes to, `gate`: a sigmoid gate on them, `bias`: in router and experts."""

    shared: bool = False
    gate: bool = False
    bias: bool = False


# Activation and norm: of Llama and most others, Gemma, T5, T5 v1.1.
NETWORKS = (("swiglu", "pre"), ("geglu", "sandwich"), ("relu", "pre"), ("geglu", "pre"))
EXPERTS: dict[str, Experts] = {
    "mixtral, qwen3-moe": Experts(),
    "deepseek": Experts(shared=True),
    "qwen2-moe": Experts(shared=True, gate=True),
    "gpt-oss": Experts(bias=True),
}


def network(x: Tensor, activation: str, w: dict[str, Tensor], prefix: str = "") -> Tensor:
    """activation(xW_gateᵀ)·(xW_upᵀ)W_downᵀ, without the product by W_up if it is not gated. x: [..., d]."""
    with step("first layer"):
        hidden = F.linear(x, w[f"{prefix}gate"])
    with step("activation"):
        hidden = ACTIVATIONS[activation](hidden)
    if activation in GATED:
        with step("gate"):
            hidden = hidden * F.linear(x, w[f"{prefix}up"])
    with step("second layer"):
        return F.linear(hidden, w[f"{prefix}down"])


def mixture(x: Tensor, kind: Experts, k: int, c: int, w: dict[str, Tensor]) -> Tensor:
    """Every token through k experts, c rows each, and through the shared ones. x: [b, n, d]; router: [E, d];
    expert_gate, expert_up: [E_a, f_e, d]; expert_down: [E_a, d, f_e].
    """
    tokens = x.reshape(-1, x.shape[2])
    width = tokens.shape[1]
    with step("router"):
        scores = F.linear(tokens, w["router"], w.get("router_bias"))
        scale, chosen = scores.float().softmax(-1).topk(k, dim=-1)
        scale = scale / scale.sum(-1, keepdim=True)
    with step("order"):
        row_of, slot_of = capacity_places(chosen, w["expert_gate"].shape[0], c)
    with step("dispatch"):
        # One row of zeros after the last token, for the places that stay empty.
        padded = torch.cat([tokens, tokens.new_zeros(1, width)])
        rows = padded.index_select(0, slot_of // k).view(-1, c, width)
    with step("experts"):
        hidden = F.silu(_expert(rows, "expert_gate", w)) * _expert(rows, "expert_up", w)
        returned = _expert(hidden, "expert_down", w).view(-1, width)
    with step("combine"):
        # And one after the last row, which the dropped slots return.
        returned = torch.cat([returned, returned.new_zeros(1, width)])
        out = (returned.index_select(0, row_of).view(-1, k, width) * scale.to(x.dtype).unsqueeze(-1)).sum(1)
    if kind.shared:
        with step("shared expert"):
            common = F.linear(F.silu(F.linear(tokens, w["shared_gate"])) * F.linear(tokens, w["shared_up"]),
                              w["shared_down"])  # fmt: skip
            if kind.gate:
                common = torch.sigmoid(F.linear(tokens, w["shared_scale"])) * common
            out = out + common
    return out.view(x.shape)


def _expert(rows: Tensor, name: str, w: dict[str, Tensor]) -> Tensor:
    """One linear layer of every expert. rows: [E_a, c, inputs]; returns [E_a, c, outputs]."""
    product = rows @ w[name].transpose(1, 2)
    bias = w.get(f"{name}_bias")
    return product if bias is None else product + bias.unsqueeze(1)


def network_shapes(activation: str, prefix: str = "", hidden: str = "f") -> dict[str, Shape]:
    """The weights of `network`."""
    names = ("gate", "up") if activation in GATED else ("gate",)
    shapes = {**{f"{prefix}{name}": f"{hidden},d" for name in names}, f"{prefix}down": f"d,{hidden}"}
    return {name: Shape(shape, "parameter") for name, shape in shapes.items()}


def _expert_shapes(kind: Experts) -> dict[str, Shape]:
    shapes = {"router": "E,d", "expert_gate": "E_a,f_e,d", "expert_up": "E_a,f_e,d", "expert_down": "E_a,d,f_e"}
    if kind.bias:
        shapes |= {"router_bias": "E", "expert_gate_bias": "E_a,f_e", "expert_up_bias": "E_a,f_e",
                   "expert_down_bias": "E_a,d"}  # fmt: skip
    if kind.gate:
        shapes["shared_scale"] = "1,d"
    shared = network_shapes("swiglu", "shared_", "f_s") if kind.shared else {}
    return {**{name: Shape(shape, "parameter") for name, shape in shapes.items()}, **shared}


def _network_block(activation: str, norm: str, x: Tensor, **w: Tensor) -> Tensor:
    return surrounded(x, lambda y: network(y, activation, w), "rms", norm, w)


def _expert_block(kind: Experts, x: Tensor, k: int, c: int, **w: Tensor) -> Tensor:
    return surrounded(x, lambda y: mixture(y, kind, k, c, w), "rms", "pre", w)


def _variants() -> Iterator[Variant]:
    for activation, norm in NETWORKS:
        arguments = {"x": Shape("b,n,d"), **network_shapes(activation), **norm_shapes("rms", norm)}
        subject = Subject(partial(_network_block, activation, norm), arguments, ("b", "n", "d", "f"))
        yield Variant("block", {"kind": "network", "activation": activation, "norm": norm}, subject, part="ffn")
    for kind in EXPERTS.values():
        given: dict[str, Any] = {"x": Shape("b,n,d"), **_expert_shapes(kind), **norm_shapes("rms", "pre")}
        sizes = ("b", "n", "d", "f_e", "E", "E_a", "k", "c", *(("f_s",) if kind.shared else ()))
        subject = Subject(partial(_expert_block, kind), {**given, "k": Size("k"), "c": Size("c")}, sizes,
                          hints={"k": 3})  # fmt: skip
        options = {"kind": "experts", "shared": kind.shared, "gate": kind.gate, "expert_bias": kind.bias}
        assumptions = ("k <= E", "an expert takes c tokens; what more it is sent is dropped")
        yield Variant("block", options, subject, (), assumptions, part="experts")


TECHNIQUE = Technique(
    name="decoder-ffn",
    title="Feed-forward blocks of open decoders",
    section="1.2",
    implementation="torch",
    summary="RMS norm, a gated network or a mixture of experts, residual.",
    options={
        "kind": Option(("network", "experts"), "network", "one network, or a mixture of experts"),
        "activation": Option(tuple(ACTIVATIONS), "swiglu", "of a network; swiglu and geglu have a gate"),
        "norm": Option(("pre", "sandwich"), "pre", "RMS norm before a network, or before and after it"),
        "shared": Option((False, True), False, "experts that every token goes to"),
        "gate": Option((False, True), False, "a sigmoid gate on the shared experts"),
        "expert_bias": Option((False, True), False, "biases in the router and the experts"),
    },
    defaults={"E": 8, "E_a": 8, "k": 2, "c": 1280},
    variants=_variants,
)  # fmt: skip
