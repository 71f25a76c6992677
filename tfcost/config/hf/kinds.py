"""What the fields of a config.json may hold: a value in, the value or `WrongValue`, saying what was expected, out."""

from collections.abc import Callable
from typing import Any

from tfcost.config.fields import shown
from tfcost.errors import nearest

Kind = Callable[[Any], Any]

_MOST = 10**9
_MOST_LAYERS = 10_000


class WrongValue(Exception):
    """A value that a field cannot have. The message says what is wrong, without the field's name."""


def count(least: int = 1, most: int = _MOST) -> Kind:
    """A whole number from `least` to `most`."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongValue(f"expected a whole number, found {shown(value)}")
        if not least <= value <= most:
            raise WrongValue(f"{value} is not from {least} to {most}")
        return value

    return check


def number(value: Any) -> float:
    """A number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST:
        raise WrongValue(f"expected a number above 0, found {shown(value)}")
    return float(value)


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise WrongValue(f"expected true or false, found {shown(value)}")
    return value


def choice(*names: str) -> Kind:
    """One of `names`."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise WrongValue(f"expected a name, found {shown(value)}")
        if value not in names:
            raise WrongValue(f"{shown(value)} is not understood{nearest(value, names)}")
        return value

    return check


def only(*known: Any) -> Kind:
    """A value that, were it another than those `known`, would change the cost in a way that is not understood."""

    def check(value: Any) -> Any:
        if not any(value == one and type(value) is type(one) for one in known):
            raise WrongValue(f"{shown(value)} changes the cost and is not understood")
        return value

    return check


def optional(kind: Kind) -> Kind:
    """`kind`, or null."""

    def check(value: Any) -> Any:
        return None if value is None else kind(value)

    return check


def many(kind: Kind) -> Kind:
    """A list of `kind`."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise WrongValue(f"expected a list, found {shown(value)}")
        return [kind(element) for element in value]

    return check


def mapping(value: Any) -> dict[str, Any]:
    """A mapping, whatever it holds."""
    if not isinstance(value, dict):
        raise WrongValue(f"expected a mapping, found {shown(value)}")
    return value


def either(*kinds: Kind) -> Kind:
    """The first of `kinds` that takes the value; the complaint is the last one's."""

    def check(value: Any) -> Any:
        for kind in kinds[:-1]:
            try:
                return kind(value)
            except WrongValue:
                continue
        return kinds[-1](value)

    return check


PLAIN_ACTIVATIONS = {
    "relu": "relu", "gelu": "gelu", "gelu_new": "gelu", "gelu_fast": "gelu", "gelu_pytorch_tanh": "gelu",
}  # fmt: skip
GATED_ACTIVATIONS = {"silu": "swiglu", "swish": "swiglu", "gelu": "geglu", "gelu_new": "geglu",
                     "gelu_pytorch_tanh": "geglu"}  # fmt: skip
LAYER_TYPES = ("full_attention", "sliding_attention")
_DTYPES = ("bfloat16", "float16", "float32")

_width, _optional_width = count(), optional(count())
_index = count(least=0)
_true_or_null = optional(flag)

KINDS: dict[str, Kind] = {
    "activation": choice(*PLAIN_ACTIVATIONS),
    "activation_function": choice(*PLAIN_ACTIVATIONS),
    "add_cross_attention": only(False),
    "alibi": only(False, None),
    "attention_bias": flag,
    "attention_window": either(many(count(least=2)), count(least=2)),
    "attn_logit_softcapping": optional(number),
    "bias": flag,
    "chunk_size_feed_forward": only(0),
    "d_ff": _width,
    "d_kv": _width,
    "d_model": _width,
    "decoder_sparse_step": count(),
    "dtype": optional(choice(*_DTYPES)),
    "feed_forward_proj": choice("relu", "gelu", "gated-gelu", "gated-silu"),
    "ffn_hidden_size": _optional_width,
    "final_logit_softcapping": optional(number),
    "first_k_dense_replace": optional(_index),
    "head_dim": _optional_width,
    "hidden_size": _width,
    "intermediate_size": _width,
    "is_decoder": flag,
    "is_encoder_decoder": only(False),
    "kv_lora_rank": _width,
    "layer_types": optional(many(choice(*LAYER_TYPES))),
    "max_position_embeddings": _width,
    "max_window_layers": _index,
    "mlp_bias": flag,
    "mlp_only_layers": optional(many(_index)),
    "moe_intermediate_size": _width,
    "moe_layer_freq": only(1),
    "multi_query": _true_or_null,
    "n_embd": _width,
    "n_head": _width,
    "n_inner": _optional_width,
    "n_layer": count(most=_MOST_LAYERS),
    "n_positions": _optional_width,
    "n_routed_experts": _width,
    "n_shared_experts": optional(_index),
    "new_decoder_architecture": _true_or_null,
    "num_attention_heads": _width,
    "num_decoder_layers": optional(count(most=_MOST_LAYERS)),
    "num_experts": _width,
    "num_experts_per_tok": _width,
    "num_heads": _width,
    "num_hidden_layers": count(most=_MOST_LAYERS),
    "num_key_value_heads": _optional_width,
    "num_kv_heads": _optional_width,
    "num_layers": count(most=_MOST_LAYERS),
    "num_ln_in_parallel_attn": optional(count(most=2)),
    "num_local_experts": _width,
    "num_nextn_predict_layers": optional(_index),
    "output_attentions": only(False),
    "output_hidden_states": only(False),
    "output_router_logits": only(False),
    "parallel_attn": _true_or_null,
    "partial_rotary_factor": optional(number),
    "position_embedding_type": only("absolute"),
    "pruned_heads": only({}),
    "q_lora_rank": _optional_width,
    "qk_nope_head_dim": _width,
    "qk_rope_head_dim": _width,
    "quantization_config": optional(mapping),
    "relative_attention_num_buckets": count(least=2),
    "rope_parameters": optional(mapping),
    "rope_scaling": optional(mapping),
    "rotary_pct": optional(number),
    "sliding_window": _optional_width,
    "sliding_window_pattern": count(most=_MOST_LAYERS),
    "tie_word_embeddings": flag,
    "type_vocab_size": _index,
    "use_bidirectional_attention": only(False, None),
    "use_parallel_residual": flag,
    "use_sliding_window": flag,
    "v_head_dim": _width,
    "vocab_size": _width,
}
