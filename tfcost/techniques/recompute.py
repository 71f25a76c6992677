"""Recomputation (activation checkpointing): the backward pass computes again what the forward pass did not keep.

One transformer layer (pre-norm attention, then a feed-forward network) keeps everything, its input alone, or all but
what its attention core makes; `stack` runs L of them with a checkpoint every s layers (Chen et al. 2016, arXiv
1604.06174). torch's own non-reentrant checkpoint does it, which stops as soon as it has what the gradient needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import sympy as sp
from torch import Tensor as TorchTensor
from torch.utils.checkpoint import checkpoint

from tfcost.cost import Cost
from tfcost.derive.stack import SPACING, Layer, chained, checkpointed
from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.techniques import flash, standard
from tfcost.techniques.ffn import feed_forward
from tfcost.techniques.layers import Core, attention_layer, residual
from tfcost.techniques.variants import HEADS, projections

POLICIES = ("none", "layer", "attention")
_SIZES = ("b", "h_kv", "r", "n", "d_h", "d", "f")
Weights = Mapping[str, Any]


def transformer_layer(
    x: TorchTensor, w_1: TorchTensor, w_2: TorchTensor,
    scale_1: TorchTensor, shift_1: TorchTensor, scale_2: TorchTensor, shift_2: TorchTensor, **attention: Any,
) -> TorchTensor:  # fmt: skip
    """Pre-norm attention and GELU network with residuals, no biases. x: [b, n, d]; w_1: [f, d]; w_2: [d, f]; scales
    and shifts: [d]; `attention`: the other arguments of `attention_layer`.
    """
    x = residual(x, lambda y: attention_layer(y, **attention), "pre", scale_1, shift_1)
    return residual(x, lambda y: feed_forward(y, w_1, w_2, "gelu"), "pre", scale_2, shift_2)


def layer(x: TorchTensor, policy: str, core: Core, **rest: Any) -> TorchTensor:
    """`transformer_layer` that keeps for its backward pass what `policy` (one of `POLICIES`) says. x: [b, n, d]. Raises
    ValueError for another policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is not one of {POLICIES}")
    if policy == "layer":
        return _recomputed(partial(transformer_layer, core=core, **rest), x)
    if policy == "attention":
        core = partial(_recomputed, core)
    return transformer_layer(x, core=core, **rest)


def stack(x: TorchTensor, layers: Sequence[Weights], s: int, **rest: Any) -> TorchTensor:
    """Layers one after the other, their arguments in `layers`, kept in segments of `s` by their inputs alone; `rest` is
    what all layers have in common. x: [b, n, d]. Raises ValueError for an s below 1.
    """
    if s < 1:
        raise ValueError(f"a segment has at least 1 layer, got s = {s}")

    def segment(x: TorchTensor, first: int) -> TorchTensor:
        for weights in layers[first : first + s]:
            x = transformer_layer(x, **weights, **rest)
        return x

    for first in range(0, len(layers), s):
        x = _recomputed(partial(segment, first=first), x)
    return x


def _recomputed(function: Any, *tensors: TorchTensor) -> TorchTensor:
    """`function(*tensors)`, computed again in the backward pass. Nothing here is random: no state to go back to."""
    result: TorchTensor = checkpoint(function, *tensors, use_reentrant=False, preserve_rng_state=False)
    return result


def layer_arguments() -> dict[str, Tensor | Size]:
    """The tensors and sizes of one layer, x included."""
    norms = {name: Tensor("d", "parameter") for name in ("scale_1", "shift_1", "scale_2", "shift_2")}
    network = {"w_1": Tensor("f,d", "parameter"), "w_2": Tensor("d,f", "parameter")}
    heads = {"h": Size(HEADS), "h_kv": Size("h_kv"), "d_h": Size("d_h")}
    return {"x": Tensor("b,n,d"), **projections(), **network, **norms, **heads}


def _subject(policy: str, core: Core, strided: bool, fixed: Mapping[str, int]) -> Subject:
    sizes = tuple(name for name in _SIZES if name not in fixed)
    run = partial(layer, policy=policy, core=core, strided=strided)
    return Subject(run, layer_arguments(), sizes, fixed)


@cache
def _reference() -> Subject:
    """What the mathematics asks for: the matrix products of a layer with standard attention, none of them twice."""

    def products(x: TorchTensor, w_1: TorchTensor, w_2: TorchTensor, **attention: Any) -> TorchTensor:
        out = attention_layer(x, core=standard.attention, strided=False, **attention)
        return feed_forward(out, w_1, w_2, "gelu")

    arguments = {name: one for name, one in layer_arguments().items() if not name.startswith(("scale", "shift"))}
    return Subject(products, arguments, _SIZES)


def _variants() -> Iterator[Variant]:
    kinds: list[tuple[str, Core, bool, dict[str, int], tuple[str, ...]]] = [
        ("standard", standard.attention, False, {}, ("bfloat16", "float16", "float32"))
    ]
    for width in flash.HEAD_WIDTHS:
        kinds.append(("flash", flash.attention, True, {"d_h": width}, ("bfloat16", "float16")))
    for attention, core, strided, fixed, dtypes in kinds:
        for policy in POLICIES:
            plain = attention == "standard" and policy == "none"
            yield Variant(
                "layer", {"attention": attention, "policy": policy}, _subject(policy, core, strided, fixed),
                (("r", "h/h_kv"),), ("h_kv divides h", "both passes are those of a training step"),
                reference=None if plain else _reference(), part="layer", dtypes=dtypes, training=True,
            )  # fmt: skip


def _stacks(costs: Sequence[Cost]) -> Iterator[Cost]:
    """L layers of every kind that `costs` has, by every policy and with a checkpoint every s layers."""
    for layers in _layers(costs):
        kept, recomputed = layers["none"], layers["layer"]
        for policy in ("none", "attention"):
            yield chained(layers[policy], layers[policy].forward.variant)
        variant = recomputed.forward.variant
        yield checkpointed(kept, recomputed, sp.Integer(1), variant)
        yield checkpointed(kept, recomputed, SPACING, {**variant, "policy": "segments"})


def _layers(costs: Sequence[Cost]) -> list[dict[str, Layer]]:
    """The layers that differ in nothing but their policy, by it."""
    groups: dict[tuple[object, ...], dict[str, dict[str, Cost]]] = {}
    for cost in costs:
        kind = (cost.variant["attention"], *cost.fixed.items(), *cost.dtypes)
        groups.setdefault(kind, {}).setdefault(str(cost.variant["policy"]), {})[cost.pass_] = cost
    return [
        {policy: Layer(passes["forward"], passes["backward"]) for policy, passes in group.items()}
        for group in groups.values()
    ]


def _claim(quantity: str, quote: str, least: str, most: str) -> Claim:
    """A claim that recomputing multiplies a quantity by a number from `least` to `most`."""
    bounds = (Formula(least), Formula(most))
    return Claim("3.2", quantity, Formula("1"), quote, ratio=bounds, against={"policy": "none"})


TECHNIQUE = Technique(
    name="recompute",
    title="Recomputation",
    section="3.2",
    implementation="torch",
    summary="The forward pass keeps checkpoints alone; the backward pass computes the rest again when it needs it.",
    options={
        "attention": Option(("standard", "flash"), "standard", "the attention core"),
        "policy": Option(
            (*POLICIES, "segments"), "layer",
            "what is computed again: nothing, each layer, the attention core, or (stack) segments of s layers",
        ),
    },
    defaults={"s": 2},
    claims=(
        _claim("time", "about 20-30 % more computation", "6/5", "13/10"),
        _claim("space", "about 50-70 % less memory", "3/10", "1/2"),
    ),
    variants=_variants,
    composed=_stacks,
)  # fmt: skip
