"""Attention blocks as the decoders of open models have them: norms, biases, rotary positions, cores; one row per kind.

`KINDS` lists what the families need and nothing else. Each kind is derived as a block (forward, backward) and as one
decode step against a cache of m tokens, the new one included.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor as TorchTensor

from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Mask, Option, Technique, Variant
from tfcost.steps import step
from tfcost.techniques import eager, flash, kv_cache, linear, masks, sliding_window, standard
from tfcost.techniques.layers import Core, layer_norm
from tfcost.techniques.rotary import rms_norm, turned
from tfcost.techniques.variants import HEADS

Function = Callable[..., TorchTensor]
_CAP = 50.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of block, as `tfcost.config.layer.LayerFields` calls its properties; `rope`: none, full or partial.

    `cores` are the attention cores it is derived with, `widths` the head widths for those that are kernels.
    """

    norm_kind: str
    norm: str
    bias: bool | str
    rope: str
    qk_norm: str = "none"
    softcap: bool = False
    sinks: bool = False
    cores: tuple[str, ...] = ("standard",)
    widths: tuple[int, ...] = flash.HEAD_WIDTHS

    @property
    def options(self) -> dict[str, object]:
        """What tells the kind's costs apart from those of others."""
        return {"norm_kind": self.norm_kind, "norm": self.norm, "bias": self.bias, "rope": self.rope,
                "qk_norm": self.qk_norm, "softcap": self.softcap, "sinks": self.sinks}  # fmt: skip


_KERNELS = ("standard", "flash", "sliding-window")
_EAGER = ("standard", "standard window")
KINDS: dict[str, Kind] = {
    "llama, mistral, mixtral, phi3": Kind("rms", "pre", False, "full", cores=(*_KERNELS, "standard window")),
    "qwen2": Kind("rms", "pre", "qkv", "full", cores=("standard", "flash")),
    "qwen3": Kind("rms", "pre", False, "full", qk_norm="head", cores=("standard", "flash"), widths=(128,)),
    "gemma2": Kind("rms", "sandwich", False, "full", softcap=True, cores=_EAGER),
    "gemma3": Kind("rms", "sandwich", False, "full", qk_norm="head", cores=(*_KERNELS, "standard window"),
                   widths=(256,)),
    "gpt-oss": Kind("rms", "pre", True, "full", sinks=True, cores=_EAGER),
    "phi4-mini": Kind("rms", "pre", False, "partial"),
    "hybrid": Kind("rms", "pre", False, "none", cores=("standard", "linear")),
}  # fmt: skip
# Kinds whose blocks other techniques have (GPT-2, plain layers): here only their decode step.
DECODE_ONLY: dict[str, Kind] = {
    "gpt2": Kind("layer", "pre", True, "none", cores=("standard", "flash")),
    "bare": Kind("layer", "none", False, "none", cores=("standard", "flash")),
}


def projected(
    x: TorchTensor, heads: tuple[int, int, int], core: Core, strided: bool, partly: bool,
    w: dict[str, TorchTensor], cache_: tuple[TorchTensor, TorchTensor, int] | None = None,
) -> TorchTensor:  # fmt: skip
    """Projections, head norms and positions around `core`. x: [b, n, d]; `heads` are h, h_kv, d_h; `w` holds weights
    and tables by name. With a `cache_` (keys, values, m) x is the one token that goes to its place m - 1.
    """
    h, h_kv, d_h = heads
    b, n, _ = x.shape
    with step("projections"):
        q, k, v = (
            F.linear(x, w[f"w_{name}"], w.get(f"b_{name}")).view(b, n, count, d_h)
            for name, count in (("q", h), ("k", h_kv), ("v", h_kv))
        )
    if "q_scale" in w:
        q, k = rms_norm(q, w["q_scale"], "head norms"), rms_norm(k, w["k_scale"], "head norms")
    if "cos" in w:
        q, k = (turned(one, w["cos"], w["sin"], partly) for one in (q, k))
    q, k, v = (one.transpose(1, 2) for one in (q, k, v))
    if cache_ is not None:
        keys, values, m = cache_
        with step("cache"):
            keys.narrow(2, m - 1, 1).copy_(k)
            values.narrow(2, m - 1, 1).copy_(v)
        k, v = keys, values
    elif not strided:
        with step("projections"):
            q, k, v = (one.contiguous() for one in (q, k, v))
    out = core(q, k, v).transpose(1, 2)
    with step("output projection"):
        rows = out.reshape(b, n, h * d_h)
        return F.linear(rows, w["w_o"], w.get("b_o"))


def surrounded(x: TorchTensor, inner: Function, norm_kind: str, norm: str, w: dict[str, TorchTensor]) -> TorchTensor:
    """X + inner(x) with the norms of `norm`: before `inner` (pre), before and after it (sandwich), or none."""
    y = x if norm == "none" else normed(x, norm_kind, w, "scale", "shift")
    y = inner(y)
    if norm == "sandwich":
        y = normed(y, norm_kind, w, "after_scale", "after_shift")
    with step("residual"):
        return x + y


def normed(x: TorchTensor, kind: str, w: dict[str, TorchTensor], scale: str, shift: str) -> TorchTensor:
    """Layer norm or RMS norm with the weights of these names."""
    return rms_norm(x, w[scale]) if kind == "rms" else layer_norm(x, w[scale], w[shift])


def norm_shapes(kind: str, norm: str) -> dict[str, Tensor]:
    """The weights of `surrounded`."""
    names = {"none": (), "pre": ("",), "sandwich": ("", "after_")}[norm]
    parts = ("scale",) if kind == "rms" else ("scale", "shift")
    return {f"{name}{part}": Tensor("d", "parameter") for name in names for part in parts}


def attention_shapes(bias: bool | str, qk_norm: str, width: str) -> dict[str, Tensor]:
    """The weights of `projected` for heads of `width` columns."""
    shapes = {"w_q": f"{HEADS}*{width},d", "w_k": f"h_kv*{width},d", "w_v": f"h_kv*{width},d",
              "w_o": f"d,{HEADS}*{width}"}  # fmt: skip
    if bias:
        shapes |= {"b_q": f"{HEADS}*{width}", "b_k": f"h_kv*{width}", "b_v": f"h_kv*{width}"}
    if bias is True:
        shapes["b_o"] = "d"
    if qk_norm == "head":
        shapes |= {"q_scale": width, "k_scale": width}
    return {name: Tensor(shape, "parameter") for name, shape in shapes.items()}


@dataclass(frozen=True, slots=True)
class Width:
    """How the columns of a head are written in sizes: `head` all of them, `turned` those of the rotary embedding."""

    head: str
    turned: str
    sizes: tuple[str, ...]
    fixed: dict[str, int]
    meanings: tuple[tuple[str, str], ...]


def width_of(rope: str, fixed: int | None) -> Width:
    """Half of the turned columns is a size of its own, so that halving them leaves no rounding."""
    if fixed is not None:
        return Width("d_h", "d_h", (), {"d_h": fixed}, (("u", "d_h/2"), ("r", "h/h_kv")))
    match rope:
        case "full":
            return Width("2*u", "2*u", ("u",), {}, (("u", "d_h/2"), ("r", "h/h_kv")))
        case "partial":
            meanings = (("u", "d_rope/2"), ("e", "d_h-d_rope"), ("r", "h/h_kv"))
            return Width("(2*u+e)", "2*u", ("u", "e"), {}, meanings)
        case _:
            return Width("d_h", "", ("d_h",), {}, (("r", "h/h_kv"),))


def table_shapes(width: Width, rows: str) -> dict[str, Tensor]:
    """Cosines and sines of `rows` positions, if heads are turned."""
    return {name: Tensor(f"{rows},{width.turned}", "constant") for name in ("cos", "sin")} if width.turned else {}


def _core(kind: Kind, core: str, rest: dict[str, Any]) -> Core:
    """The core with what it is given beside q, k, v."""
    match core:
        case "flash":
            return partial(flash.attention, causal=True)
        case "sliding-window":
            return partial(sliding_window.attention, w=rest["w"])
        case "linear":
            return linear.fused_causal_attention
    if kind.softcap or kind.sinks or "w" in rest:
        cap = _CAP if kind.softcap else None
        return partial(eager.attention, w=rest.get("w"), cap=cap, sinks=rest.get("sinks"))
    return partial(standard.attention, causal=True)


def _decode_core(kind: Kind, core: str, m: int, rest: dict[str, Any]) -> Core:
    """Attention of one token to all m keys of the cache."""
    if core == "flash":
        return partial(kv_cache.attention, m=m)
    if kind.softcap or kind.sinks:
        cap = _CAP if kind.softcap else None
        return partial(eager.attention, causal=False, cap=cap, sinks=rest.get("sinks"))
    return standard.attention


_KERNEL_CORES = ("flash", "sliding-window", "linear")
_NOT_WEIGHTS = ("x", "h", "h_kv", "d_h", "w", "k_cache", "v_cache", "m")


def _weights(rest: dict[str, Any]) -> dict[str, TorchTensor]:
    return {name: value for name, value in rest.items() if name not in _NOT_WEIGHTS}


def _block(kind: Kind, core: str, x: TorchTensor, h: int, h_kv: int, d_h: int, **rest: Any) -> TorchTensor:
    """The whole block. x: [b, n, d]."""
    weights, strided = _weights(rest), core in _KERNEL_CORES

    def attend(y: TorchTensor) -> TorchTensor:
        return projected(y, (h, h_kv, d_h), _core(kind, core, rest), strided, kind.rope == "partial", weights)

    return surrounded(x, attend, kind.norm_kind, kind.norm, weights)


def _step(
    kind: Kind, core: str, x: TorchTensor, h: int, h_kv: int, d_h: int, k_cache: TorchTensor, v_cache: TorchTensor,
    m: int, **rest: Any,
) -> TorchTensor:  # fmt: skip
    """The block for one token after m - 1 others. x: [b, 1, d]; caches: [b, h_kv, m, d_h]."""
    weights = _weights(rest)

    def attend(y: TorchTensor) -> TorchTensor:
        attention = _decode_core(kind, core, m, rest)
        return projected(y, (h, h_kv, d_h), attention, True, kind.rope == "partial", weights, (k_cache, v_cache, m))

    return surrounded(x, attend, kind.norm_kind, kind.norm, weights)


def _arguments(kind: Kind, width: Width, rows: str) -> dict[str, Any]:
    sinks = {"sinks": Tensor(HEADS, "parameter")} if kind.sinks else {}
    heads = {"h": Size(HEADS), "h_kv": Size("h_kv"), "d_h": Size(width.head)}
    return {"x": Tensor(f"b,{rows},d"), **attention_shapes(kind.bias, kind.qk_norm, width.head), **sinks,
            **norm_shapes(kind.norm_kind, kind.norm), **table_shapes(width, rows), **heads}  # fmt: skip


@cache
def _subject(name: str, core: str, fixed: int | None) -> Subject:
    kind = {**KINDS, **DECODE_ONLY}[name]
    width = width_of(kind.rope, fixed)
    window = {"w": Size("w")} if "window" in core else {}
    sizes = ("b", "h_kv", "r", "n", *width.sizes, "d", *window)
    return Subject(partial(_block, kind, core), {**_arguments(kind, width, "n"), **window}, sizes, width.fixed)


@cache
def _decode_subject(name: str, core: str, fixed: int | None) -> Subject:
    kind = {**KINDS, **DECODE_ONLY}[name]
    width = width_of(kind.rope, fixed)
    kept = Tensor(f"b,h_kv,m,{width.head}", "constant")
    arguments = {**_arguments(kind, width, "1"), "k_cache": kept, "v_cache": kept, "m": Size("m")}
    return Subject(partial(_step, kind, core), arguments, ("b", "h_kv", "r", "m", *width.sizes, "d"), width.fixed)


def _variants() -> Iterator[Variant]:
    for name, kind in KINDS.items():
        for core in kind.cores:
            for fixed in kind.widths if core in _KERNEL_CORES else (None,):
                yield _forward_variant(name, kind, core, fixed)
    for name, kind in {**KINDS, **DECODE_ONLY}.items():
        for core in kind.cores:
            if core in ("standard", "flash"):
                for fixed in kind.widths if core == "flash" else (None,):
                    yield _decode_variant(name, kind, core, fixed)


def _forward_variant(name: str, kind: Kind, core: str, fixed: int | None) -> Variant:
    masked = masks.causal_window if "window" in core else masks.causal
    mask = Mask(masked, ("w",) if "window" in core else (), keys="n")
    kernel = core in _KERNEL_CORES
    return Variant(
        "block", _options(kind, core), _subject(name, core, fixed), width_of(kind.rope, fixed).meanings,
        _assumptions(kind), _subject(name, "standard", None) if kernel and core != "linear" else None,
        None if core == "linear" else mask, part="attention",
        dtypes=_HALF if kernel else (*_HALF, "float32"),
    )  # fmt: skip


def _decode_variant(name: str, kind: Kind, core: str, fixed: int | None) -> Variant:
    splits = (f"{kv_cache.SPLITS} programs per key/value head",) if core == "flash" else ()
    return Variant(
        "block", _options(kind, core), _decode_subject(name, core, fixed), width_of(kind.rope, fixed).meanings,
        (*_assumptions(kind), *splits), _decode_subject(name, "standard", None) if core == "flash" else None,
        part="attention", dtypes=_HALF if core == "flash" else (*_HALF, "float32"), backward=False, forward="decode",
    )  # fmt: skip


_HALF = ("bfloat16", "float16")


def _options(kind: Kind, core: str) -> dict[str, object]:
    return {"attention": core.removesuffix(" window"), "window": "window" in core, **kind.options}


def _assumptions(kind: Kind) -> tuple[str, ...]:
    even = {"full": ("2 divides d_h",), "partial": ("2 divides d_rope",), "none": ()}[kind.rope]
    return ("h_kv divides h", *even)


TECHNIQUE = Technique(
    name="decoder-attention",
    title="Attention blocks of open decoders",
    section="1.1",
    implementation="torch",
    summary="Norms, projections, rotary positions, a causal core, residual; the same for one token with a cache.",
    options={
        "attention": Option(("standard", *_KERNEL_CORES), "standard", "the attention core, causal"),
        "window": Option((False, True), False, "a window of w earlier keys"),
        "norm_kind": Option(("rms", "layer"), "rms", "RMS norm, or layer norm"),
        "norm": Option(("pre", "sandwich", "none"), "pre", "norms before the block, before and after it, or none"),
        "bias": Option((False, True, "qkv"), False, "biases in the projections: none, all four, or those of q, k, v"),
        "rope": Option(("full", "partial", "none"), "full", "columns turned by position: all, d_rope, or none"),
        "qk_norm": Option(("none", "head"), "none", "RMS norm of every head's query and key"),
        "softcap": Option((False, True), False, "scores capped by a tanh"),
        "sinks": Option((False, True), False, "a learned logit per head in the softmax"),
    },
    defaults={"w": 4095},
    variants=_variants,
)  # fmt: skip
