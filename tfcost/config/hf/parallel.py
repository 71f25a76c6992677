"""Decoders whose attention and feed-forward network stand side by side: Falcon, GPT-NeoX."""

from tfcost.config.hf.common import Fields, head, heads, rope_share, whole_rope
from tfcost.config.hf.family import Family, Values
from tfcost.config.hf.kinds import PLAIN_ACTIVATIONS, choice
from tfcost.config.hf.llama import ROPE


def _falcon(values: Values) -> Fields:
    """Falcon's first architecture (7B: one norm, one key/value head) and its second (40B: two norms, groups)."""
    whole_rope(values)
    second, side_by_side = values["new_decoder_architecture"], values["parallel_attn"]
    if second and not side_by_side:
        raise values.wrong("parallel_attn", "parallel_attn: false contradicts new_decoder_architecture: true")
    if values["num_ln_in_parallel_attn"] is not None and not second:
        raise values.wrong("num_ln_in_parallel_attn", "num_ln_in_parallel_attn without new_decoder_architecture: true")
    if not second:
        values.values["num_kv_heads"] = 1 if values["multi_query"] else values["num_attention_heads"]
    norms = "two norms" if second and values["num_ln_in_parallel_attn"] != 1 else "one norm"
    return {
        **_common(values, heads(values, "num_kv_heads"), PLAIN_ACTIVATIONS[values["activation"]]),
        "f": values["ffn_hidden_size"] or 4 * values["hidden_size"],
        "bias": values["bias"],
        "ffn_bias": values["bias"],
        "parallel": norms if side_by_side else "none",
    }


def _gpt_neox(values: Values) -> Fields:
    found = heads(values)
    width = values["hidden_size"] // values["num_attention_heads"]
    return {
        **_common(values, found, PLAIN_ACTIVATIONS[values["hidden_act"]]),
        "f": values["intermediate_size"],
        "rope_width": int(width * rope_share(values, default=0.25)),
        "bias": values["attention_bias"],
        "ffn_bias": True,
        "parallel": "two norms" if values["use_parallel_residual"] else "none",
    }


def _common(values: Values, own_heads: Fields, activation: str) -> Fields:
    return {
        **own_heads,
        "d": values["hidden_size"],
        "L": values["num_hidden_layers"],
        "V": values["vocab_size"],
        "causal": True,
        "rope": True,
        "norm": "pre",
        "ffn": activation,
        "head": head(values),
    }


FALCON = Family(
    "falcon",
    {
        "vocab_size": 65024, "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
        "num_ln_in_parallel_attn": None, "num_kv_heads": None, "new_decoder_architecture": False, "multi_query": True,
        "parallel_attn": True, "bias": False, "max_position_embeddings": 2048, "ffn_hidden_size": None,
        "activation": "gelu", "tie_word_embeddings": True,
    },
    _falcon, ("FalconForCausalLM", "FalconModel"), (*ROPE, "alibi"), also={"n_embed": "hidden_size"},
    without_cost=frozenset({"apply_residual_connection_post_layernorm"}),
)  # fmt: skip

GPT_NEOX = Family(
    "gpt_neox",
    {
        "vocab_size": 50432, "hidden_size": 6144, "num_hidden_layers": 44, "num_attention_heads": 64,
        "intermediate_size": 24576, "hidden_act": "gelu", "max_position_embeddings": 2048,
        "tie_word_embeddings": False, "use_parallel_residual": True, "attention_bias": True,
    },
    _gpt_neox, ("GPTNeoXForCausalLM", "GPTNeoXModel"), (*ROPE, "rotary_pct", "partial_rotary_factor"),
    {"hidden_act": choice(*PLAIN_ACTIVATIONS)},
)  # fmt: skip
