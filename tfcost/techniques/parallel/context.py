"""Context parallelism: C GPUs with a part of every sequence each; keys and values travel round the ring.

Ring attention (Liu et al. 2023, arXiv 2310.01889): every GPU attends with its own queries to one block of keys after
the other and keeps a running maximum and sum (as FlashAttention does), so that scores of one block alone are there.
Backward computes them again; the gradients of a block of keys travel with it and come home after a whole round. With a
causal mask blocks that a GPU sees nothing of are computed all the same.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tfcost.collectives import Group, shift
from tfcost.derive.subject import Size, Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.steps import step
from tfcost.techniques import decoder_attention as decoders
from tfcost.techniques.layers import attention_layer, residual
from tfcost.techniques.parallel.parts import on_group
from tfcost.techniques.variants import HEADS, SURROUNDINGS, biases, norm_weights, projections

GROUP = "C"
_KINDS = ("llama, mistral, mixtral, phi3", "qwen2", "qwen3")


class _Ring(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, group: Group, causal: bool) -> Tensor:
        scale = q.shape[-1] ** -0.5
        keys = torch.stack([k, v])
        out = torch.zeros_like(q)
        total = q.new_zeros(*q.shape[:-1], 1)
        most = q.new_full(total.shape, float("-inf"))
        for turn in range(group.size):
            scores = _scores(q, keys[0], turn, group, causal, scale)
            new = torch.maximum(most, scores.amax(-1, keepdim=True))
            shrink = (most - new).exp_()
            weights = scores.sub_(new).exp_()
            total.mul_(shrink).add_(weights.sum(-1, keepdim=True))
            out.mul_(shrink).add_(weights @ keys[1])
            most = new
            del scores, weights
            if turn < group.size - 1:
                keys = shift(keys, group)
        out.div_(total)
        ctx.save_for_backward(q, k, v, out, total.log_().add_(most))
        ctx.group, ctx.causal, ctx.scale = group, causal, scale
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, logs = ctx.saved_tensors
        group, scale = ctx.group, ctx.scale
        keys, of_keys = torch.stack([k, v]), torch.zeros(2, *k.shape, dtype=k.dtype, device=k.device)
        of_q = torch.zeros_like(q)
        inner = (gradient * out).sum(-1, keepdim=True)
        for turn in range(group.size):
            weights = _scores(q, keys[0], turn, group, ctx.causal, scale).sub_(logs).exp_()
            of_keys[1].add_(weights.transpose(-1, -2) @ gradient)
            of_scores = (gradient @ keys[1].transpose(-1, -2)).sub_(inner).mul_(weights).mul_(scale)
            del weights
            of_q.add_(of_scores @ keys[0])
            of_keys[0].add_(of_scores.transpose(-1, -2) @ q)
            del of_scores
            if turn < group.size - 1:
                keys = shift(keys, group)
            of_keys = shift(of_keys, group)
        return of_q, of_keys[0], of_keys[1], None, None


def _scores(q: Tensor, k: Tensor, turn: int, group: Group, causal: bool, scale: float) -> Tensor:
    """Scores of this GPU's queries and the keys that have come `turn` places round. q: [b, h_kv, r·i, d_h]; k: [b,
    h_kv, i, d_h].
    """
    scores = (q @ k.transpose(-1, -2)).mul_(scale)
    if not causal:
        return scores
    rows, keys = q.shape[2] // k.shape[2], k.shape[2]
    first = ((group.rank - turn) % group.size - group.rank) * keys
    place = torch.arange(keys, device=q.device)
    hidden = place.unsqueeze(0) + first > place.unsqueeze(1)
    split = scores.view(*scores.shape[:2], rows, keys, keys)
    return split.masked_fill_(hidden, float("-inf")).view(scores.shape)


def ring_attention(q: Tensor, k: Tensor, v: Tensor, group: Group, causal: bool = True) -> Tensor:
    """Of softmax(QKᵀ/√d_h)V over a whole sequence, this GPU's rows. q: [b, h, n/C, d_h]; k, v: [b, h_kv, n/C, d_h]."""
    b, h, rows, d_h = q.shape
    h_kv = k.shape[1]
    with step("ring attention"):
        grouped = q.reshape(b, h_kv, (h // h_kv) * rows, d_h)
        out: Tensor = _Ring.apply(grouped, k.contiguous(), v.contiguous(), group, causal)  # type: ignore[no-untyped-call]
        return out.view(b, h, rows, d_h)


def _plain_block(
    x: Tensor, group: Group, norm: str, causal: bool, scale: Tensor | None = None, shift: Tensor | None = None,
    **rest: Any,
) -> Tensor:  # fmt: skip
    """A block of `layers` around the ring. x: [b, n/C, d]."""
    core = partial(ring_attention, group=group, causal=causal)
    return residual(x, lambda y: attention_layer(y, core=core, strided=False, **rest), norm, scale, shift)


def _decoder_block(x: Tensor, group: Group, kind: decoders.Kind, h: int, h_kv: int, d_h: int, **w: Tensor) -> Tensor:
    """A block of `decoder_attention` around the ring; tables of positions are those of this GPU's rows."""

    def attend(y: Tensor) -> Tensor:
        core = partial(ring_attention, group=group)
        return decoders.projected(y, (h, h_kv, d_h), core, False, kind.rope == "partial", w)

    return decoders.surrounded(x, attend, kind.norm_kind, kind.norm, w)


_MEANINGS = (("r", "h/h_kv"), ("i", "n/C"))
_ASSUMPTIONS = ("h_kv divides h", "C divides n")


def _variants() -> Iterator[Variant]:
    for causal in (False, True):
        tensors = {"q": Shape(f"b,{HEADS},i,d_h"), "k": Shape("b,h_kv,i,d_h"), "v": Shape("b,h_kv,i,d_h")}
        run = on_group(partial(ring_attention, causal=causal), GROUP)
        subject = Subject(run, {**tensors, GROUP: Size(GROUP)}, ("b", "h_kv", "r", "i", "d_h", GROUP))
        yield Variant("core", {"part": "core", "causal": causal}, subject, _MEANINGS, _ASSUMPTIONS)
    for norm, bias in SURROUNDINGS:
        # Encoders (BERT) have their norms after the sum, decoders before or none.
        yield _block(norm, bias, causal=norm != "post")
    for name in _KINDS:
        yield _decoder(decoders.KINDS[name])


def _block(norm: str, bias: bool, causal: bool) -> Variant:
    heads = {"h": Size(HEADS), "h_kv": Size("h_kv"), "d_h": Size("d_h"), GROUP: Size(GROUP)}
    arguments = {"x": Shape("b,i,d"), **projections(), **biases(bias), **norm_weights(norm), **heads}
    run = on_group(partial(_plain_block, norm=norm, causal=causal), GROUP)
    subject = Subject(run, arguments, ("b", "h_kv", "r", "i", "d_h", "d", GROUP))
    options = {"part": "attention", "causal": causal, "norm": norm, "bias": bias}
    return Variant("block", options, subject, _MEANINGS, _ASSUMPTIONS, part="attention")


def _decoder(kind: decoders.Kind) -> Variant:
    width = decoders.width_of(kind.rope, None)
    arguments = {**decoders._arguments(kind, width, "i"), GROUP: Size(GROUP)}
    run = on_group(partial(_decoder_block, kind=kind), GROUP)
    subject = Subject(run, arguments, ("b", "h_kv", "r", "i", *width.sizes, "d", GROUP))
    meanings = (*(one for one in width.meanings if one[0] != "r"), *_MEANINGS)
    options = {"part": "decoder attention", **kind.options}
    return Variant("block", options, subject, meanings, (*_ASSUMPTIONS, "2 divides d_h"), part="attention")


TECHNIQUE = Technique(
    name="context-parallel",
    title="Context parallelism: ring attention",
    section="",
    implementation="torch",
    summary="C GPUs have a part of every sequence each; keys and values go round, scores of one block at a time.",
    options={"part": Option(("core", "attention", "decoder attention"), "core", "the core alone, or a block")},
    defaults={"C": 2},
    variants=_variants,
)
