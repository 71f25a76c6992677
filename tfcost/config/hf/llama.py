"""LLaMA and the decoders shaped like it: Mistral, Qwen 2 and 3, Phi-3."""

from tfcost.config.hf.common import WINDOW_KERNEL_WIDTHS, Fields, decoder, rope_share, whole_rope, window, windowed
from tfcost.config.hf.family import Family, Values
from tfcost.config.hf.kinds import GATED_ACTIVATIONS, choice

GATED = {"hidden_act": choice(*GATED_ACTIVATIONS)}
ROPE = ("rope_scaling", "rope_parameters")


def _llama(values: Values) -> Fields:
    whole_rope(values)
    values.refuse_unless_divisible("hidden_size", "num_attention_heads")
    return {**decoder(values), "bias": values["attention_bias"], "ffn_bias": values["mlp_bias"]}


def _mistral(values: Values) -> Fields:
    whole_rope(values)
    return {**decoder(values), **window(values, values["sliding_window"], WINDOW_KERNEL_WIDTHS)}


def _qwen2(values: Values) -> Fields:
    whole_rope(values)
    return {**decoder(values), "bias": "qkv", **_last_layers_windowed(values)}


def _qwen3(values: Values) -> Fields:
    whole_rope(values)
    return {**decoder(values), "bias": values["attention_bias"], "qk_norm": "head", **_last_layers_windowed(values)}


def _last_layers_windowed(values: Values) -> Fields:
    """Qwen's layers from `max_window_layers` on have the window, if it is switched on."""
    if not values["use_sliding_window"]:
        values.values["sliding_window"] = None
    first = values["num_hidden_layers"] if values["sliding_window"] is None else values["max_window_layers"]
    default = ["full_attention" if i < first else "sliding_attention" for i in range(values["num_hidden_layers"])]
    return windowed(values, default)


def _phi3(values: Values) -> Fields:
    found = {**decoder(values), **window(values, values["sliding_window"], WINDOW_KERNEL_WIDTHS)}
    width = values.get("head_dim") or values["hidden_size"] // values["num_attention_heads"]
    return {**found, "rope_width": int(width * rope_share(values))}


_QWEN = {
    "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu", "max_position_embeddings": 32768,
    "tie_word_embeddings": False, "use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28,
    "layer_types": None,
}  # fmt: skip

LLAMA = Family(
    "llama",
    {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": None, "head_dim": None, "hidden_act": "silu",
        "max_position_embeddings": 2048, "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
    },
    _llama, ("LlamaForCausalLM", "LlamaModel"), ROPE, GATED,
)  # fmt: skip

MISTRAL = Family(
    "mistral",
    {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": None, "hidden_act": "silu",
        "max_position_embeddings": 131072, "tie_word_embeddings": False, "sliding_window": 4096,
    },
    _mistral, ("MistralForCausalLM", "MistralModel"), ROPE, GATED,
)  # fmt: skip

QWEN2 = Family("qwen2", _QWEN, _qwen2, ("Qwen2ForCausalLM", "Qwen2Model"), (*ROPE, "head_dim"), GATED)

QWEN3 = Family(
    "qwen3", {**_QWEN, "head_dim": 128, "attention_bias": False},
    _qwen3, ("Qwen3ForCausalLM", "Qwen3Model"), ROPE, GATED,
)  # fmt: skip

PHI3 = Family(
    "phi3",
    {
        "vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": None, "hidden_act": "silu",
        "max_position_embeddings": 4096, "tie_word_embeddings": False, "sliding_window": None,
    },
    _phi3, ("Phi3ForCausalLM", "Phi3Model"), (*ROPE, "head_dim", "partial_rotary_factor"), GATED,
    without_cost=frozenset({"full_attn_mod", "interpolate_factor"}),
)  # fmt: skip
