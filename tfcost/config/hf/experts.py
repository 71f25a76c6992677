"""Decoders with experts in place of the feed-forward network: Mixtral, Qwen 3's, gpt-oss."""

from tfcost.config.hf.common import WINDOW_KERNEL_WIDTHS, Fields, decoder, in_runs, whole_rope, window, windowed
from tfcost.config.hf.family import Family, Values
from tfcost.config.hf.kinds import only
from tfcost.config.hf.llama import GATED, ROPE

_ROUTING = frozenset({"norm_topk_prob", "router_aux_loss_coef", "router_jitter_noise"})


def experts(values: Values, number: str, width: str) -> Fields:
    """The `moe` of a model whose fields call the number of experts and their width so."""
    if values["num_experts_per_tok"] > values[number]:
        chosen = values["num_experts_per_tok"]
        raise values.wrong("num_experts_per_tok", f"num_experts_per_tok = {chosen} is more than {number} = "
                                                  f"{values[number]}")  # fmt: skip
    return {"experts": values[number], "chosen": values["num_experts_per_tok"], "f": values[width]}


def _mixtral(values: Values) -> Fields:
    whole_rope(values)
    moe = experts(values, "num_local_experts", "intermediate_size")
    return {**decoder(values), "moe": moe, **window(values, values["sliding_window"], WINDOW_KERNEL_WIDTHS)}


def _qwen3(values: Values) -> Fields:
    whole_rope(values)
    size = values["sliding_window"] if values["use_sliding_window"] else None
    moe = experts(values, "num_experts", "moe_intermediate_size")
    dense, step = set(values["mlp_only_layers"] or ()), values["decoder_sparse_step"]
    sparse = [i not in dense and (i + 1) % step == 0 for i in range(values["num_hidden_layers"])]
    found = {**decoder(values), "bias": values["attention_bias"], "qk_norm": "head", **window(values, size)}
    if not any(sparse):
        return found
    return {**found, "moe": moe, **in_runs([{} if one else {"moe": None} for one in sparse])}


def _gpt_oss(values: Values) -> Fields:
    whole_rope(values)
    moe = {**experts(values, "num_local_experts", "intermediate_size"), "bias": True}
    types = ["sliding_attention", "full_attention"] * values["num_hidden_layers"]
    layers = windowed(values, types[: values["num_hidden_layers"]])
    return {**decoder(values), "bias": values["attention_bias"], "sinks": True, "moe": moe, **layers}


MIXTRAL = Family(
    "mixtral",
    {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": None, "hidden_act": "silu",
        "max_position_embeddings": 131072, "tie_word_embeddings": False, "sliding_window": None,
        "num_experts_per_tok": 2, "num_local_experts": 8,
    },
    _mixtral, ("MixtralForCausalLM", "MixtralModel"), (*ROPE, "output_router_logits"), GATED,
    also={"num_experts": "num_local_experts"}, without_cost=_ROUTING,
)  # fmt: skip

QWEN3_MOE = Family(
    "qwen3_moe",
    {
        "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 24,
        "num_attention_heads": 32, "num_key_value_heads": 4, "hidden_act": "silu", "max_position_embeddings": 32768,
        "tie_word_embeddings": False, "attention_bias": False, "use_sliding_window": False, "sliding_window": 4096,
        "decoder_sparse_step": 1, "moe_intermediate_size": 768, "num_experts_per_tok": 8, "num_experts": 128,
        "mlp_only_layers": None,
    },
    _qwen3, ("Qwen3MoeForCausalLM", "Qwen3MoeModel"), (*ROPE, "output_router_logits", "head_dim"), GATED,
    also={"num_local_experts": "num_experts"}, without_cost=_ROUTING | {"max_window_layers"},
)  # fmt: skip

GPT_OSS = Family(
    "gpt_oss",
    {
        "vocab_size": 201088, "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36,
        "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "hidden_act": "silu",
        "max_position_embeddings": 131072, "tie_word_embeddings": False, "sliding_window": 128, "layer_types": None,
        "num_experts_per_tok": 4, "num_local_experts": 128, "attention_bias": True,
    },
    _gpt_oss, ("GptOssForCausalLM", "GptOssModel"), (*ROPE, "output_router_logits"), {"hidden_act": only("silu")},
    also={"num_experts": "num_local_experts", "experts_per_token": "num_experts_per_tok"},
    without_cost=_ROUTING | {"initial_context_length", "swiglu_limit", "swiglu_alpha"},
)  # fmt: skip
