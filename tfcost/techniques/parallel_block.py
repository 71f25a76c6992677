"""Attention and feed-forward network side by side: both read the same input, and their outputs are added to it.

One norm feeds both (Falcon-7B, GPT-J), or each has its own (GPT-NeoX, arXiv 2204.06745; Falcon-40B). One row per kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from torch import Tensor as TorchTensor

from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Mask, Option, Technique, Variant
from tfcost.steps import step
from tfcost.techniques import flash, kv_cache, masks, standard
from tfcost.techniques.decoder_attention import (
    Width,
    attention_shapes,
    projected,
    table_shapes,
    width_of,
)
from tfcost.techniques.ffn import feed_forward
from tfcost.techniques.layers import Core, layer_norm
from tfcost.techniques.variants import HEADS

_HALF = ("bfloat16", "float16")
_NOT_WEIGHTS = ("x", "h", "h_kv", "d_h", "k_cache", "v_cache", "m")


@dataclass(frozen=True, slots=True)
class Kind:
    """`norms`: one norm or two norms; `bias`: in all linear layers; `rope`: full or partial; `cores` with `widths` for
    those that are kernels.
    """

    norms: str
    bias: bool
    rope: str
    cores: tuple[str, ...] = ("standard", "flash")
    widths: tuple[int, ...] = (64,)


KINDS: dict[str, Kind] = {
    "falcon-7b": Kind("one norm", False, "full"),
    "falcon-40b": Kind("two norms", False, "full"),
    "gpt-neox": Kind("two norms", True, "partial", cores=("standard",)),
}


def block(
    x: TorchTensor, heads: tuple[int, int, int], core: Core, strided: bool, partly: bool, w: dict[str, TorchTensor],
    cache_: tuple[TorchTensor, TorchTensor, int] | None = None,
) -> TorchTensor:  # fmt: skip
    """X + attention(norm(x)) + network(norm(x)). x: [b, n, d]; the rest as for `decoder_attention.projected`."""
    y = layer_norm(x, w["scale"], w["shift"])
    z = layer_norm(x, w["ffn_scale"], w["ffn_shift"]) if "ffn_scale" in w else y
    attended = projected(y, heads, core, strided, partly, w, cache_)
    hidden = feed_forward(z, w["w_1"], w["w_2"], "gelu", w.get("b_1"), w.get("b_2"))
    with step("residual"):
        return hidden + attended + x


def _run(kind: Kind, core: str, x: TorchTensor, h: int, h_kv: int, d_h: int, **rest: Any) -> TorchTensor:
    weights = {name: value for name, value in rest.items() if name not in _NOT_WEIGHTS}
    kept = (rest["k_cache"], rest["v_cache"], rest["m"]) if "m" in rest else None
    attention: Core
    if kept is not None:
        attention = partial(kv_cache.attention, m=kept[2]) if core == "flash" else standard.attention
    else:
        attention = partial((flash if core == "flash" else standard).attention, causal=True)
    return block(x, (h, h_kv, d_h), attention, core == "flash", kind.rope == "partial", weights, kept)


def _arguments(kind: Kind, width: Width, rows: str) -> dict[str, Any]:
    norms = ("scale", "shift", *(("ffn_scale", "ffn_shift") if kind.norms == "two norms" else ()))
    linear_biases = {"b_1": "f", "b_2": "d"} if kind.bias else {}
    shapes = {**dict.fromkeys(norms, "d"), "w_1": "f,d", "w_2": "d,f", **linear_biases}
    heads = {"h": Size(HEADS), "h_kv": Size("h_kv"), "d_h": Size(width.head)}
    return {"x": Tensor(f"b,{rows},d"), **attention_shapes(kind.bias, "none", width.head), **table_shapes(width, rows),
            **{name: Tensor(shape, "parameter") for name, shape in shapes.items()}, **heads}  # fmt: skip


@cache
def _subject(name: str, core: str, fixed: int | None, decode: bool) -> Subject:
    kind = KINDS[name]
    width = width_of(kind.rope, fixed)
    length, rows = ("m", "1") if decode else ("n", "n")
    kept = Tensor(f"b,h_kv,m,{width.head}", "constant")
    caches = {"k_cache": kept, "v_cache": kept, "m": Size("m")} if decode else {}
    sizes = ("b", "h_kv", "r", length, *width.sizes, "d", "f")
    return Subject(partial(_run, kind, core), {**_arguments(kind, width, rows), **caches}, sizes, width.fixed)


def _variants() -> Iterator[Variant]:
    for name, kind in KINDS.items():
        for core in kind.cores:
            for fixed in kind.widths if core == "flash" else (None,):
                for decode in (False, True):
                    yield _variant(name, core, fixed, decode)


def _variant(name: str, core: str, fixed: int | None, decode: bool) -> Variant:
    kind, kernel = KINDS[name], core == "flash"
    even = "2 divides d_h" if kind.rope == "full" else "2 divides d_rope"
    splits = (f"{kv_cache.SPLITS} programs per key/value head",) if kernel and decode else ()
    return Variant(
        "block", {"attention": core, "norms": kind.norms, "bias": kind.bias, "rope": kind.rope},
        _subject(name, core, fixed, decode), width_of(kind.rope, fixed).meanings, ("h_kv divides h", even, *splits),
        _subject(name, "standard", None, decode) if kernel else None, None if decode else Mask(masks.causal, keys="n"),
        part="layer", dtypes=_HALF if kernel else (*_HALF, "float32"), backward=not decode,
        forward="decode" if decode else "forward",
    )  # fmt: skip


TECHNIQUE = Technique(
    name="parallel-block",
    title="Attention and feed-forward network side by side",
    section="1.3",
    implementation="torch",
    summary="One layer in one residual: attention and a GELU network read the same input, behind one norm or two.",
    options={
        "attention": Option(("standard", "flash"), "standard", "the attention core, causal"),
        "norms": Option(("one norm", "two norms"), "two norms", "one layer norm for both, or each its own"),
        "bias": Option((False, True), False, "biases in all linear layers"),
        "rope": Option(("full", "partial"), "full", "columns that are turned by position: all, or d_rope"),
    },
    variants=_variants,
)
