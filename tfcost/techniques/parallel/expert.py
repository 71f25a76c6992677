"""Expert parallelism: X GPUs with other rows and E/X of the experts each (Lepikhin et al. 2020, arXiv 2006.16668).

Every GPU routes its own tokens and fills c rows for each of all E experts; the rows go to the GPUs that have the
experts (all-to-all), are computed there, and come back (all-to-all). Router and shared experts are on every GPU.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.collectives import Group, all_to_all
from tfcost.derive.subject import Size, Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.steps import step
from tfcost.techniques import decoder_ffn
from tfcost.techniques.decoder_attention import norm_shapes, surrounded
from tfcost.techniques.moe import capacity_places
from tfcost.techniques.parallel.parts import on_group

GROUP = "X"


class _Exchanged(torch.autograd.Function):
    """Rows to the GPUs that they are for; back, their gradients from there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return all_to_all(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return all_to_all(gradient.contiguous(), ctx.group), None


def exchanged(x: Tensor, group: Group) -> Tensor:
    """Part i of x [X·r, ...] to GPU i; what all GPUs sent to this one, in their order."""
    result: Tensor = _Exchanged.apply(x, group)  # type: ignore[no-untyped-call]
    return result


def mixture(
    x: Tensor, group: Group, kind: decoder_ffn.Experts, k: int, c: int, own: int, w: dict[str, Tensor]
) -> Tensor:
    """As `decoder_ffn.mixture`, with `own` = E/X experts on this GPU. x: [b, n, d]; router: [E, d]; expert_gate,
    expert_up: [own, f_e, d]; expert_down: [own, d, f_e].
    """
    tokens = x.reshape(-1, x.shape[2])
    experts, width = w["router"].shape[0], tokens.shape[1]
    with step("router"):
        scores = F.linear(tokens, w["router"], w.get("router_bias"))
        scale, chosen = scores.float().softmax(-1).topk(k, dim=-1)
        scale = scale / scale.sum(-1, keepdim=True)
    with step("order"):
        row_of, slot_of = capacity_places(chosen, experts, c)
    with step("dispatch"):
        # One row of zeros after the last token, for the places that stay empty.
        padded = torch.cat([tokens, tokens.new_zeros(1, width)])
        rows = exchanged(padded.index_select(0, slot_of // k), group)
        # By GPU they came from, then by expert: every expert's rows are brought together.
        rows = rows.view(group.size, own, c, width).transpose(0, 1).reshape(own, group.size * c, width)
    with step("experts"):
        hidden = F.silu(decoder_ffn._expert(rows, "expert_gate", w)) * decoder_ffn._expert(rows, "expert_up", w)
        returned = decoder_ffn._expert(hidden, "expert_down", w)
    with step("combine"):
        returned = returned.view(own, group.size, c, width).transpose(0, 1).reshape(-1, width)
        returned = exchanged(returned, group)
        # And one after the last row, which the dropped slots return.
        returned = torch.cat([returned, returned.new_zeros(1, width)])
        out = (returned.index_select(0, row_of).view(-1, k, width) * scale.to(x.dtype).unsqueeze(-1)).sum(1)
    if kind.shared:
        with step("shared expert"):
            common = decoder_ffn.network(tokens, "swiglu", w, "shared_")
            if kind.gate:
                common = torch.sigmoid(F.linear(tokens, w["shared_scale"])) * common
            out = out + common
    return out.view(x.shape)


def block(x: Tensor, group: Group, kind: decoder_ffn.Experts, k: int, c: int, own: int, **w: Tensor) -> Tensor:
    """The mixture behind an RMS norm, with its residual."""
    return surrounded(x, lambda y: mixture(y, group, kind, k, c, own, w), "rms", "pre", w)


def _variants() -> Iterator[Variant]:
    for kind in decoder_ffn.EXPERTS.values():
        shapes = {name: _own_shape(name, one) for name, one in decoder_ffn._expert_shapes(kind).items()}
        sizes = {"k": Size("k"), "c": Size("c"), "own": Size("e"), GROUP: Size(GROUP)}
        arguments = {"x": Shape("b,n,d"), **shapes, **norm_shapes("rms", "pre"), **sizes}
        names = ("b", "n", "d", "f_e", "e", "k", "c", *(("f_s",) if kind.shared else ()), GROUP)
        subject = Subject(on_group(partial(block, kind=kind), GROUP), arguments, names, hints={"k": 3})
        options = {"shared": kind.shared, "gate": kind.gate, "expert_bias": kind.bias}
        assumptions = ("k <= E", "X divides E", "an expert takes c tokens of a GPU; what more it is sent is dropped")
        yield Variant("block", options, subject, (("e", "E/X"),), assumptions, part="experts")


def _own_shape(name: str, shape: Shape) -> Shape:
    """The router is that of all experts; of their weights a GPU has its own."""
    text = shape.shape.replace("E_a", "e") if name.startswith("expert_") else shape.shape
    return Shape(text.replace("E", "X*e"), shape.role)


TECHNIQUE = Technique(
    name="expert-parallel",
    title="Expert parallelism",
    section="",
    implementation="torch",
    summary="X GPUs share out E experts; every GPU's rows go to the experts they are for, and come back.",
    options={
        "shared": Option((False, True), False, "experts that every token goes to"),
        "gate": Option((False, True), False, "a sigmoid gate on the shared experts"),
        "expert_bias": Option((False, True), False, "biases in the router and the experts"),
    },
    defaults={"E": 8, "k": 2, "c": 1280, "X": 2},
    variants=_variants,
)
