"""KV cache: one new token attends to the keys and values kept of all before it, instead of computing them again.

`decode` is one step with m tokens in the cache, the new one included; `generation` all steps of t tokens after a prompt
of p. The Triton kernels in `kernels/decode` split the cache among programs (Flash-Decoding, Dao et al. 2023).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

import torch.nn.functional as F
from torch import Tensor as TorchTensor

from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Claim, Mask, Option, Repeat, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques import flash, masks, standard
from tfcost.techniques.layers import Core, attention_layer
from tfcost.techniques.variants import HEADS, projections
from tfcost_kernels.decode import decode_attention

# Programs per key/value head: with 12 heads, enough for every multiprocessor of a large GPU.
SPLITS = 32
_HEADS = {"h": Size(HEADS), "h_kv": Size("h_kv"), "d_h": Size("d_h")}


def attention(q: TorchTensor, k_cache: TorchTensor, v_cache: TorchTensor, m: int) -> TorchTensor:
    """One query against m cached keys. q: [b, h, 1, d_h]; caches: [b, h_kv, m, d_h]; returns [b, h, 1, d_h]."""
    with step("attention kernel"):
        o: TorchTensor = decode_attention(q, k_cache, v_cache, m, splits=SPLITS)
        return o


def attention_step(
    x: TorchTensor, w_q: TorchTensor, w_k: TorchTensor, w_v: TorchTensor, w_o: TorchTensor,
    k_cache: TorchTensor, v_cache: TorchTensor, m: int, h: int, h_kv: int, d_h: int, core: Core,
) -> TorchTensor:  # fmt: skip
    """One token through the projections, its key and value into the last place of the caches, attention to them all.

    x: [b, 1, d]; weights as in `attention_layer`; caches: [b, h_kv, m, d_h]; returns [b, 1, d].
    """
    b = x.shape[0]
    with step("projections"):
        q = F.linear(x, w_q).view(b, h, 1, d_h)
        key, value = (F.linear(x, w).view(b, h_kv, 1, d_h) for w in (w_k, w_v))
    with step("cache"):
        k_cache.narrow(2, m - 1, 1).copy_(key)
        v_cache.narrow(2, m - 1, 1).copy_(value)
    out = core(q, k_cache, v_cache)
    with step("output projection"):
        return F.linear(out.view(b, 1, h * d_h), w_o)


def _cached(scope: str, fixed: Mapping[str, int], keys: str, core: Core | None = None) -> Subject:
    """One decode step with a cache of `keys` tokens, by the kernel or by another attention `core`."""
    cache = Tensor(f"b,h_kv,{keys},d_h")
    sizes = tuple(name for name in ("b", "h_kv", "r", "m" if keys == "m" else "w", "d_h") if name not in fixed)
    if scope == "core":
        q = Tensor(f"b,{HEADS},1,d_h")
        if core is not None:
            return Subject(core, {"q": q, "k": cache, "v": cache}, sizes, fixed)
        return Subject(attention, {"q": q, "k_cache": cache, "v_cache": cache, "m": Size(keys)}, sizes, fixed)

    def layer(m: int, **rest: Any) -> TorchTensor:
        return attention_step(**rest, m=m, core=core or (lambda q, k, v: attention(q, k, v, m)))

    given = {"x": Tensor("b,1,d"), **projections(), "k_cache": cache, "v_cache": cache, "m": Size(keys)}
    return Subject(layer, {**given, **_HEADS}, (*sizes, "d"), fixed)


def _uncached(scope: str, fixed: Mapping[str, int], core: Core, strided: bool = False) -> Subject:
    """The same token from all m tokens: attention of every one of them, only the last row of which is wanted."""
    sizes = tuple(name for name in ("b", "h_kv", "r", "m", "d_h") if name not in fixed)
    if scope == "core":
        keys = Tensor("b,h_kv,m,d_h")
        return Subject(core, {"q": Tensor(f"b,{HEADS},m,d_h"), "k": keys, "v": keys}, sizes, fixed)

    def layer(x: TorchTensor, **rest: Any) -> TorchTensor:
        return attention_layer(x, **rest, core=core, strided=strided)

    return Subject(layer, {"x": Tensor("b,m,d"), **projections(), **_HEADS}, (*sizes, "d"), fixed)


def _subjects(scope: str, fixed: Mapping[str, int]) -> dict[str, tuple[Subject, Subject]]:
    """For every kind of cache, the kernel's subject and the one that says what the mathematics asks for."""
    return {
        "full": (_cached(scope, fixed, "m"), _cached(scope, fixed, "m", standard.attention)),
        "window": (_cached(scope, fixed, "w+1"), _cached(scope, fixed, "w+1", standard.attention)),
        "none": (
            _uncached(scope, fixed, partial(flash.attention, causal=True), strided=True),
            _uncached(scope, fixed, standard.attention),
        ),
    }


def _variants() -> Iterator[Variant]:
    for width, scope in product(flash.HEAD_WIDTHS, ("core", "layer")):
        for cache, (subject, reference) in _subjects(scope, {"d_h": width}).items():
            assumptions = ["h_kv divides h"]
            if cache != "none":
                assumptions.append(f"{SPLITS} programs per key/value head")
            for pass_, repeat, full in (("decode", None, "m > w"),
                                        ("generation", Repeat("m", first="p+1", count="t"), "p >= w")):  # fmt: skip
                filled = [f"{full}: the cache holds the last w+1 tokens"] if cache == "window" else []
                yield Variant(
                    scope, {"cache": cache}, subject, (("r", "h/h_kv"),), (*assumptions, *filled), reference,
                    Mask(masks.causal, queries="m") if cache == "none" else None, dtypes=("bfloat16", "float16"),
                    backward=False, forward=pass_, repeat=repeat,
                )  # fmt: skip


TECHNIQUE = Technique(
    name="kv-cache",
    title="KV cache",
    section="3.1",
    implementation="triton",
    summary="Decoding one token at a time: keys and values of earlier tokens are kept, not computed again.",
    options={
        "cache": Option(("full", "window", "none"), "full", "all keys kept, those of the last w+1 tokens, or none"),
    },
    defaults={"p": 1024, "t": 1024, "w": 1023},
    claims=(
        Claim("3.1", "time", Formula("m*d"), "time per step O(nd), without a cache O(n²d)"),
        Claim("3.1", "space", Formula("m*d"), "space O(nd), all earlier K and V"),
    ),
    variants=_variants,
)
