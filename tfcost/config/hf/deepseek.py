"""DeepSeek-V2 and V3: latent attention, dense first layers, then experts with some that every token goes to."""

from tfcost.config.hf.common import Fields, decoder, in_runs, whole_rope
from tfcost.config.hf.experts import experts
from tfcost.config.hf.family import REQUIRED, Family, Values
from tfcost.config.hf.kinds import only
from tfcost.config.hf.llama import GATED, ROPE


def _deepseek(values: Values) -> Fields:
    whole_rope(values)
    if values["num_key_value_heads"] not in (None, values["num_attention_heads"]):
        raise values.wrong("num_key_value_heads", "num_key_value_heads: latent attention has one for each head")
    moe = experts(values, "n_routed_experts", "moe_intermediate_size")
    if values["n_shared_experts"]:
        moe |= {"shared": values["n_shared_experts"]}
    depth, dense = values["num_hidden_layers"], values["first_k_dense_replace"] or 0
    layers = in_runs([{"moe": None} if i < dense else {} for i in range(depth)])
    mla = {
        "q_rank": values["q_lora_rank"],
        "kv_rank": values["kv_lora_rank"],
        "rope_width": values["qk_rope_head_dim"],
        "nope_width": values["qk_nope_head_dim"],
        "v_width": values["v_head_dim"],
    }
    if values.get("num_nextn_predict_layers"):
        values.notes.append(f"without the {values.get('num_nextn_predict_layers')} module(s) of multi-token prediction "
                            "(num_nextn_predict_layers), which are no part of a forward pass")  # fmt: skip
    return {**decoder(values), "rope": False, "mla": mla, "moe": moe, **layers}


_DEFAULTS = {
    "vocab_size": 102400, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": None, "hidden_act": "silu", "max_position_embeddings": 2048,
    "tie_word_embeddings": False, "first_k_dense_replace": 0, "kv_lora_rank": 512, "q_lora_rank": 1536,
    "n_routed_experts": 64, "n_shared_experts": 2, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "v_head_dim": 128, "num_experts_per_tok": REQUIRED, "moe_intermediate_size": 1407,
}  # fmt: skip
_CHECKED = (*ROPE, "attention_bias", "moe_layer_freq", "output_router_logits", "num_nextn_predict_layers")
_KINDS = {**GATED, "attention_bias": only(False), "mlp_bias": only(False)}
_WITHOUT_COST = frozenset({
    "aux_loss_alpha", "head_dim", "n_group", "norm_topk_prob", "qk_head_dim", "routed_scaling_factor", "scoring_func",
    "seq_aux", "topk_group", "topk_method",
})  # fmt: skip

DEEPSEEK_V2 = Family(
    "deepseek_v2", _DEFAULTS, _deepseek, ("DeepseekV2ForCausalLM", "DeepseekV2Model"), (*_CHECKED, "mlp_bias"), _KINDS,
    also={"num_experts": "n_routed_experts"}, without_cost=_WITHOUT_COST,
)  # fmt: skip

DEEPSEEK_V3 = Family(
    "deepseek_v3",
    {
        **_DEFAULTS, "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432, "num_hidden_layers": 61,
        "num_attention_heads": 128, "num_key_value_heads": 128, "max_position_embeddings": 4096,
        "first_k_dense_replace": 3, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048,
    },
    _deepseek, ("DeepseekV3ForCausalLM", "DeepseekV3Model"), _CHECKED, _KINDS,
    also={"num_local_experts": "n_routed_experts", "num_mtp_layers": "num_nextn_predict_layers"},
    without_cost=_WITHOUT_COST,
)  # fmt: skip
