"""Attention of encoder-decoder models (T5, Raffel et al. 2020): a learned bias by distance, made once for all layers,
and cross attention to what the encoder returns. RMS norm, no biases in the projections, scores not scaled.

`bias` and `memory` are inputs that all layers share: each layer returns a gradient for them.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor as TorchTensor

from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Mask, Option, Technique, Variant
from tfcost.steps import step
from tfcost.techniques import eager, masks
from tfcost.techniques.decoder_attention import norm_shapes, surrounded

_FARTHEST, _BUCKETS = 128, 32


def position_bias(table: TorchTensor, n: int, causal: bool, count: int = _BUCKETS) -> TorchTensor:
    """The bias of every pair of n positions by the bucket of their distance, of which there are `count`. table: [R, h]
    with R >= count; returns [1, h, n, n].
    """
    with step("position bias"):
        places = torch.arange(n, device=table.device)
        found = buckets(places.unsqueeze(0) - places.unsqueeze(1), count, causal)
        return F.embedding(found, table).permute(2, 0, 1).unsqueeze(0)


def buckets(distance: TorchTensor, count: int, causal: bool) -> TorchTensor:
    """The bucket of each key's distance from its query: one for each short distance, longer ones by their logarithm."""
    found = torch.zeros_like(distance)
    if causal:
        distance = -torch.minimum(distance, torch.zeros_like(distance))
    else:
        count = count // 2
        found = found + (distance > 0).to(torch.long) * count
        distance = distance.abs()
    exact = count // 2
    scaled = torch.log(distance.float() / exact) / math.log(_FARTHEST / exact) * (count - exact)
    large = torch.minimum(exact + scaled.to(torch.long), torch.full_like(distance, count - 1))
    return found + torch.where(distance < exact, distance, large)


def self_attention(x: TorchTensor, bias: TorchTensor, h: int, d_h: int, causal: bool, **w: TorchTensor) -> TorchTensor:
    """X + attention(norm(x)) with a bias on the scores. x: [b, n, d]; bias: [1, h, n, n]."""

    def attend(y: TorchTensor) -> TorchTensor:
        q, k, v = (_heads(y, w[name], h, d_h) for name in ("w_q", "w_k", "w_v"))
        return _joined(eager.attention(q, k, v, causal, bias=bias, scale=1), w["w_o"])

    return surrounded(x, attend, "rms", "pre", w)


def cross_attention(x: TorchTensor, memory: TorchTensor, h: int, d_h: int, **w: TorchTensor) -> TorchTensor:
    """X + attention of norm(x) to `memory`, what the encoder returned. x: [b, n, d]; memory: [b, m, d]."""

    def attend(y: TorchTensor) -> TorchTensor:
        q, k, v = (_heads(given, w[name], h, d_h) for given, name in ((y, "w_q"), (memory, "w_k"), (memory, "w_v")))
        return _joined(eager.attention(q, k, v, False, scale=1), w["w_o"])

    return surrounded(x, attend, "rms", "pre", w)


def self_attention_step(
    x: TorchTensor, bias: TorchTensor, h: int, d_h: int, k_cache: TorchTensor, v_cache: TorchTensor, m: int,
    **w: TorchTensor,
) -> TorchTensor:  # fmt: skip
    """`self_attention` of one token after m - 1 others. x: [b, 1, d]; bias: [1, h, 1, m]; caches: [b, h, m, d_h]."""

    def attend(y: TorchTensor) -> TorchTensor:
        q, k, v = (_heads(y, w[name], h, d_h) for name in ("w_q", "w_k", "w_v"))
        with step("cache"):
            k_cache.narrow(2, m - 1, 1).copy_(k)
            v_cache.narrow(2, m - 1, 1).copy_(v)
        return _joined(eager.attention(q, k_cache, v_cache, False, bias=bias, scale=1), w["w_o"])

    return surrounded(x, attend, "rms", "pre", w)


def cross_attention_step(
    x: TorchTensor, h: int, d_h: int, k_cache: TorchTensor, v_cache: TorchTensor, **w: TorchTensor
) -> TorchTensor:
    """`cross_attention` of one token; the keys and values of the encoder's m tokens are kept from the first step."""

    def attend(y: TorchTensor) -> TorchTensor:
        return _joined(eager.attention(_heads(y, w["w_q"], h, d_h), k_cache, v_cache, False, scale=1), w["w_o"])

    return surrounded(x, attend, "rms", "pre", w)


def _heads(x: TorchTensor, weight: TorchTensor, h: int, d_h: int) -> TorchTensor:
    with step("projections"):
        return F.linear(x, weight).view(x.shape[0], x.shape[1], h, d_h).transpose(1, 2).contiguous()


def _joined(out: TorchTensor, weight: TorchTensor) -> TorchTensor:
    b, h, n, d_h = out.shape
    with step("output projection"):
        return F.linear(out.transpose(1, 2).reshape(b, n, h * d_h), weight)


def _arguments(rows: str, *names: str) -> dict[str, Any]:
    shapes = {name: "d,h*d_h" if name == "w_o" else "h*d_h,d" for name in names}
    weights = {name: Tensor(shape, "parameter") for name, shape in shapes.items()}
    heads = {"h": Size("h"), "d_h": Size("d_h")}
    return {"x": Tensor(f"b,{rows},d"), **weights, **norm_shapes("rms", "pre"), **heads}


_ALL = ("w_q", "w_k", "w_v", "w_o")


def _variants() -> Iterator[Variant]:
    for causal in (False, True):
        options = {"part": "self-attention", "causal": causal}
        given = {**_arguments("n", *_ALL), "bias": Tensor("1,h,n,n"), "causal": causal}
        yield Variant("block", options, Subject(self_attention, given, ("b", "h", "n", "d_h", "d")), (), (), None,
                      Mask(masks.causal, keys="n") if causal else None, part="attention")  # fmt: skip
        table = {"table": Tensor("R,h", "parameter"), "n": Size("n"), "causal": causal}
        options = {"part": "position bias", "causal": causal}
        yield Variant("part", options, Subject(position_bias, table, ("R", "h", "n")), part="position bias")
    given = {**_arguments("n", *_ALL), "memory": Tensor("b,m,d")}
    subject = Subject(cross_attention, given, ("b", "h", "n", "m", "d_h", "d"))
    yield Variant("block", {"part": "cross-attention"}, subject, part="attention")
    kept = {name: Tensor("b,h,m,d_h", "constant") for name in ("k_cache", "v_cache")}
    given = {**_arguments("1", *_ALL), **kept, "bias": Tensor("1,h,1,m", "constant"), "m": Size("m")}
    sizes = ("b", "h", "m", "d_h", "d")
    yield Variant("block", {"part": "self-attention", "causal": True}, Subject(self_attention_step, given, sizes),
                  part="attention", backward=False, forward="decode")  # fmt: skip
    given = {**_arguments("1", "w_q", "w_o"), **kept}
    yield Variant("block", {"part": "cross-attention"}, Subject(cross_attention_step, given, sizes), part="attention",
                  backward=False, forward="decode")  # fmt: skip


TECHNIQUE = Technique(
    name="encoder-decoder",
    title="Attention of encoder-decoder models",
    section="1.1",
    implementation="torch",
    summary="Self-attention with a bias by distance, and cross attention to the encoder's output.",
    options={
        "part": Option(("self-attention", "cross-attention", "position bias"), "self-attention", "the part of a layer"),
        "causal": Option((False, True), False, "queries see no later keys; distances count backwards only"),
    },
    defaults={"R": 32},
    variants=_variants,
)
