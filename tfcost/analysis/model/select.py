"""Which cost of the book a layer's attention or network is: a complete layer in; technique, scope and options out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tfcost.book import Book
from tfcost.book.record import OptionValue
from tfcost.config.layer import LayerFields
from tfcost.errors import UserError


@dataclass(frozen=True, slots=True)
class Choice:
    """A part before it is looked up: `name` in reports, where it stands in the book, the values of its own symbols, and
    those that follow from others (`formulas`; `weight_formulas` for the weights alone). `decode`: where its decode step
    stands; a part that `attends` has none without, any other one is its forward pass with n = 1. `decode_formulas`:
    what follows from others there. `shares`: what all parts of this kind are given beside their input; `renamed`: what
    the model calls symbols of the part.
    """

    name: str
    technique: str
    scope: str
    variant: Mapping[str, OptionValue]
    values: Mapping[str, int]
    formulas: Mapping[str, str] = field(default_factory=dict)
    weight_formulas: Mapping[str, str] = field(default_factory=dict)
    decode: "tuple[str, Mapping[str, OptionValue]] | None" = None
    attends: bool = False
    decode_formulas: Mapping[str, str] = field(default_factory=dict)
    shares: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)


def attention_of(layer: LayerFields, book: Book) -> Choice:
    """The attention block of a layer. UserError for a combination that no part is made for."""
    values = layer_values(layer)
    if layer.mla is not None:
        return _latent(layer, values)
    if layer.attention == "longformer":
        return _longformer(layer, values)
    if _is_plain(layer):
        return _plain(layer, book, values)
    return _decoder(layer, values)


def layer_values(layer: LayerFields) -> dict[str, int]:
    """The values of the symbols that a layer sets."""
    values = {"d": layer.d, "h": layer.h, "h_kv": layer.kv_heads, "d_h": layer.head_width, "f": layer.hidden_width}
    values |= {name: getattr(layer, name) for name in ("w", "g", "c") if getattr(layer, name) is not None}
    if layer.turned_width:
        values["d_rope"] = layer.turned_width
    if layer.mla is not None:
        values |= {"d_nope": layer.mla.nope_width, "d_v": layer.mla.v_width, "r_kv": layer.mla.kv_rank}
        values |= {} if layer.mla.q_rank is None else {"r_q": layer.mla.q_rank}
    return values


def _is_plain(layer: LayerFields) -> bool:
    """Whether it is one of the blocks with a layer norm (or none) that every attention technique has."""
    return (
        layer.norm_kind == "layer"
        and not (layer.rope or layer.softcap or layer.sinks)
        and layer.qk_norm == "none"
        and layer.parallel == "none"
    )


def _plain(layer: LayerFields, book: Book, values: dict[str, int]) -> Choice:
    record = book.record(layer.attention)
    options: dict[str, OptionValue] = {name: option.default for name, option in record.options.items()}
    if layer.causal and "causal" not in options:
        raise UserError(f"{layer.attention} has no causal form")
    if layer.attention == "standard" and layer.w is not None:
        raise UserError("attention: standard has no window with a layer norm; give 'attention: sliding-window'")
    options["causal"] = layer.causal
    for name, value in layer.attention_options.items():
        if name not in record.options or value not in record.options[name].values:
            offered = "; ".join(f"{key}: {', '.join(map(str, o.values))}" for key, o in record.options.items())
            raise UserError(f"attention_options: {layer.attention} has no {name} = {value} ({offered})")
        options[name] = value
    variant = {**options, "norm": layer.norm, "bias": layer.bias}
    return Choice("attention", layer.attention, "block", variant, {**record.defaults, **values},
                  decode=_decode(layer), attends=True, decode_formulas=_kept(layer))  # fmt: skip


_NAMES = {"sliding-window": "window attention", "linear": "linear attention"}


def _decode(layer: LayerFields) -> tuple[str, Mapping[str, OptionValue]] | None:
    """The step for one token: kernels for attention that is one, products in memory for standard attention."""
    if not layer.causal or layer.attention not in ("standard", "flash", "sliding-window"):
        return None
    kernel = layer.attention in ("flash", "sliding-window")
    return "decoder-attention", {**_traits(layer), "attention": "flash" if kernel else "standard", "window": False}


def _kept(layer: LayerFields) -> dict[str, str]:
    """With a window, a cache keeps no more tokens than one query sees."""
    return {} if layer.w is None else {"m": "Min(m, w + 1)"}


def _traits(layer: LayerFields) -> dict[str, OptionValue]:
    return {"norm_kind": layer.norm_kind, "norm": layer.norm, "bias": layer.bias, "rope": _rope(layer),
            "qk_norm": layer.qk_norm, "softcap": layer.softcap, "sinks": layer.sinks}  # fmt: skip


def _rope(layer: LayerFields) -> str:
    if not layer.turned_width:
        return "none"
    return "full" if layer.turned_width == layer.head_width else "partial"


def _decoder(layer: LayerFields, values: dict[str, int]) -> Choice:
    _check_causal(layer)
    if layer.attention == "sliding-window" and layer.w is None:
        raise UserError("attention: sliding-window needs its window: give w")
    if layer.attention_options:
        raise UserError(f"attention_options: {layer.attention} has none behind these norms and positions")
    window = layer.attention == "sliding-window" or (layer.attention == "standard" and layer.w is not None)
    variant: dict[str, OptionValue] = {"attention": layer.attention, "window": window, **_traits(layer)}
    name = "window attention" if window else _NAMES.get(layer.attention, "attention")
    return Choice(name, "decoder-attention", "block", variant, values, decode=_decode(layer), attends=True,
                  decode_formulas=_kept(layer))  # fmt: skip


def _latent(layer: LayerFields, values: dict[str, int]) -> Choice:
    _check_causal(layer)
    fits = (layer.attention, layer.norm_kind, layer.norm, layer.bias) == ("standard", "rms", "pre", False)
    if not fits:
        raise UserError("mla is there for 'attention: standard', 'norm_kind: rms', 'norm: pre', without biases")
    assert layer.mla is not None
    variant: dict[str, OptionValue] = {"low_rank_queries": layer.mla.q_rank is not None}
    return Choice("attention", "latent-attention", "block", variant, values, decode=("latent-attention", variant),
                  attends=True)  # fmt: skip


def _longformer(layer: LayerFields, values: dict[str, int]) -> Choice:
    if (layer.causal, layer.norm_kind, layer.norm, layer.bias) != (False, "layer", "post", True):
        raise UserError("longformer is there without causal, with 'norm: post' and 'bias: true'")
    if layer.w is None or layer.g is None:
        raise UserError("attention: longformer needs its window and its global tokens: give w and g")
    return Choice("attention", "longformer-block", "block", {"norm": "post", "bias": True}, values, attends=True)


def parallel_of(layer: LayerFields) -> Choice:
    """Attention and network of a layer that has them side by side."""
    _check_causal(layer)
    plain = layer.norm_kind == "layer" and layer.ffn == "gelu" and layer.rope and layer.bias == layer.ffn_bias
    if not plain or layer.qk_norm != "none" or layer.softcap or layer.sinks:
        raise UserError("parallel is there with 'norm_kind: layer', 'ffn: gelu', 'rope: true', bias as ffn_bias")
    variant: dict[str, OptionValue] = {
        "attention": layer.attention,
        "norms": layer.parallel,
        "bias": layer.bias,
        "rope": _rope(layer),
    }
    return Choice("layer", "parallel-block", "block", variant, layer_values(layer), decode=("parallel-block", variant),
                  attends=True)  # fmt: skip


def network_of(layer: LayerFields) -> Choice:
    """The feed-forward network of a layer, or its mixture of experts. UserError for one that no part is made for."""
    values = layer_values(layer)
    if layer.moe is not None:
        return _experts(layer, values)
    if layer.norm_kind == "layer":
        variant = {"activation": layer.ffn, "norm": layer.norm, "bias": layer.ffn_bias}
        return Choice("ffn", "ffn", "block", variant, values)
    if layer.ffn_bias:
        raise UserError("ffn_bias: no network with biases is made for an RMS norm")
    return Choice(
        "ffn", "decoder-ffn", "block", {"kind": "network", "activation": layer.ffn, "norm": layer.norm}, values
    )


def _experts(layer: LayerFields, values: dict[str, int]) -> Choice:
    moe = layer.moe
    assert moe is not None
    if (layer.norm_kind, layer.norm) != ("rms", "pre"):
        raise UserError("moe is there with 'norm_kind: rms' and 'norm: pre'")
    own = {"E": moe.experts, "k": moe.chosen, "f_e": moe.f, **({"f_s": moe.shared_width} if moe.shared else {})}
    values = {name: value for name, value in values.items() if name == "d"} | own
    if moe.capacity is not None:
        values["c"] = moe.capacity
    variant: dict[str, OptionValue] = {
        "kind": "experts",
        "shared": moe.shared > 0,
        "gate": moe.gate,
        "expert_bias": moe.bias,
    }

    def formulas(experts: str) -> dict[str, str]:
        share = {"c": f"b*n*k/{experts}"} if moe.capacity is None else {}
        return {"E_a": experts, **share}

    # One token of each sequence: no more experts than choices are read.
    few = {**formulas("Min(E, b*k)"), "n": "1"}
    if moe.capacity is None:
        few["c"] = "b*k/Min(E, b*k)"
    return Choice("experts", "decoder-ffn", "block", variant, values, formulas("E"), {"E_a": "E"}, decode_formulas=few)


def _check_causal(layer: LayerFields) -> None:
    if not layer.causal:
        raise UserError("norm_kind: rms, rope, qk_norm and parallel layers are there for 'causal: true' only")
