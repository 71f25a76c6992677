"""Multi-head latent attention: keys and values made of one short latent row per token (DeepSeek-V2, arXiv 2405.04434).

The block expands keys and values of all heads, as the eager module does. A decode step keeps the latents in its cache
and moves the expansion to the other side of the products: to the query before the scores and to the output after them.
"""

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
from tfcost.techniques.rotary import rms_norm, turned

_HEAD = "(d_nope+2*u)"
_MEANINGS = (("u", "d_rope/2"),)


def attend(
    x: TorchTensor, h: int, d_nope: int, d_v: int, w: dict[str, TorchTensor],
    cache: tuple[TorchTensor, TorchTensor, int] | None = None,
) -> TorchTensor:  # fmt: skip
    """Latent attention, causal. x: [b, n, d]; `w` holds weights and tables by name. With a `cache` (latents
    [b, m, r_kv], turned keys [b, m, d_rope], m) x is the one token that goes to its place m - 1.
    """
    b, n, _ = x.shape
    q_pass, q_turned = _queries(x, h, d_nope, w)
    latent, k_turned = _latents(x, w)
    if cache is None:
        out = _expanded(q_pass, q_turned, latent, k_turned, d_v, w["w_kv_b"])
    else:
        with step("cache"):
            cache[0].narrow(1, cache[2] - 1, 1).copy_(latent)
            cache[1].narrow(1, cache[2] - 1, 1).copy_(k_turned)
        out = _absorbed(q_pass, q_turned, cache[0], cache[1], d_v, w["w_kv_b"])
    with step("output projection"):
        return F.linear(out.reshape(b, n, h * d_v), w["w_o"])


def _queries(x: TorchTensor, h: int, d_nope: int, w: dict[str, TorchTensor]) -> tuple[TorchTensor, TorchTensor]:
    """[b, n, h, d_nope] and, turned, [b, n, h, d_rope]."""
    b, n, _ = x.shape
    if "w_q_a" in w:
        with step("projections"):
            x = F.linear(x, w["w_q_a"])
        x = rms_norm(x, w["q_scale"], "latent norms")
    with step("projections"):
        q = F.linear(x, w["w_q"]).view(b, n, h, d_nope + w["cos"].shape[-1])
    return q[..., :d_nope], turned(q[..., d_nope:], w["cos"], w["sin"])


def _latents(x: TorchTensor, w: dict[str, TorchTensor]) -> tuple[TorchTensor, TorchTensor]:
    """The latent of keys and values [b, n, r_kv] and the key that all heads share, turned, [b, n, d_rope]."""
    rank = w["kv_scale"].shape[0]
    with step("projections"):
        both = F.linear(x, w["w_kv_a"])
    latent = rms_norm(both[..., :rank], w["kv_scale"], "latent norms")
    return latent, turned(both[..., rank:].unsqueeze(2), w["cos"], w["sin"]).squeeze(2)


def _expanded(
    q_pass: TorchTensor,
    q_turned: TorchTensor,
    latent: TorchTensor,
    k_turned: TorchTensor,
    d_v: int,
    w_kv_b: TorchTensor,
) -> TorchTensor:
    """Keys and values of every head out of the latent, then attention; returns [b, n, h, d_v]."""
    b, n, h, d_nope = q_pass.shape
    with step("projections"):
        both = F.linear(latent, w_kv_b).view(b, n, h, d_nope + d_v)
        shared = k_turned.unsqueeze(2).expand(b, n, h, k_turned.shape[-1])
        k = torch.cat([both[..., :d_nope], shared], dim=-1).transpose(1, 2)
        q = torch.cat([q_pass, q_turned], dim=-1).transpose(1, 2)
        v = both[..., d_nope:].transpose(1, 2)
    return eager.attention(q, k, v).transpose(1, 2)


def _absorbed(
    q_pass: TorchTensor, q_turned: TorchTensor, latents: TorchTensor, keys: TorchTensor, d_v: int, w_kv_b: TorchTensor
) -> TorchTensor:
    """The same for one query against m latents, which are keys and values themselves; returns [b, 1, h, d_v]."""
    b, _, h, d_nope = q_pass.shape
    expansion = w_kv_b.view(h, d_nope + d_v, latents.shape[-1])
    with step("absorbed projections"):
        q = (q_pass.view(b, h, d_nope).transpose(0, 1) @ expansion[:, :d_nope]).transpose(0, 1)
    with step("scores"):
        scores = q @ latents.transpose(1, 2) + q_turned.view(b, h, -1) @ keys.transpose(1, 2)
        scores = scores * (d_nope + keys.shape[-1]) ** -0.5
    with step("softmax"):
        weights = torch.softmax(scores, dim=-1)
    with step("values"):
        kept = weights @ latents
    with step("absorbed projections"):
        out = kept.transpose(0, 1) @ expansion[:, d_nope:].transpose(1, 2)
        return out.transpose(0, 1).unsqueeze(1)


_NOT_WEIGHTS = ("x", "h", "d_nope", "d_v", "latents", "keys", "m")


def _block(x: TorchTensor, h: int, d_nope: int, d_v: int, **rest: Any) -> TorchTensor:
    weights = {name: value for name, value in rest.items() if name not in _NOT_WEIGHTS}
    cache = (rest["latents"], rest["keys"], rest["m"]) if "m" in rest else None
    return surrounded(x, lambda y: attend(y, h, d_nope, d_v, weights, cache), "rms", "pre", weights)


def _arguments(low_rank: bool, rows: str) -> dict[str, Any]:
    shapes = {"w_q": f"h*{_HEAD},d", "w_kv_a": "r_kv+2*u,d", "kv_scale": "r_kv", "w_kv_b": "h*(d_nope+d_v),r_kv",
              "w_o": "d,h*d_v"}  # fmt: skip
    if low_rank:
        shapes |= {"w_q_a": "r_q,d", "q_scale": "r_q", "w_q": f"h*{_HEAD},r_q"}
    weights = {name: Tensor(shape, "parameter") for name, shape in shapes.items()}
    tables = {name: Tensor(f"{rows},2*u", "constant") for name in ("cos", "sin")}
    heads = {"h": Size("h"), "d_nope": Size("d_nope"), "d_v": Size("d_v")}
    return {"x": Tensor(f"b,{rows},d"), **weights, **norm_shapes("rms", "pre"), **tables, **heads}


def _variants() -> Iterator[Variant]:
    for low_rank in (False, True):
        sizes = ("b", "h", "n", "d", "d_nope", "u", "d_v", "r_kv", *(("r_q",) if low_rank else ()))
        options = {"low_rank_queries": low_rank}
        yield Variant("block", options, Subject(_block, _arguments(low_rank, "n"), sizes), _MEANINGS,
                      ("2 divides d_rope",), None, Mask(masks.causal, keys="n"), part="attention")  # fmt: skip
        kept = {"latents": Tensor("b,m,r_kv", "constant"), "keys": Tensor("b,m,2*u", "constant"), "m": Size("m")}
        sizes = tuple("m" if name == "n" else name for name in sizes)
        yield Variant("block", options, Subject(_block, {**_arguments(low_rank, "1"), **kept}, sizes), _MEANINGS,
                      ("2 divides d_rope",), part="attention", backward=False, forward="decode")  # fmt: skip


TECHNIQUE = Technique(
    name="latent-attention",
    title="Multi-head latent attention",
    section="1.1",
    implementation="torch",
    summary="Keys and values of all heads come from one latent row per token, which is all that a cache keeps.",
    options={"low_rank_queries": Option((True, False), True, "queries come from a latent of their own as well")},
    defaults={"d_nope": 128, "d_rope": 64, "d_v": 128, "r_q": 1536, "r_kv": 512},
    variants=_variants,
)
