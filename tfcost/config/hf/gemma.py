"""Gemma 2 and the text models of Gemma 3: norms around each sublayer, a window in most layers."""

from tfcost.config.hf.common import Fields, decoder, whole_rope, windowed
from tfcost.config.hf.family import Family, Values
from tfcost.config.hf.kinds import GATED_ACTIVATIONS, choice
from tfcost.config.hf.llama import ROPE


def _gemma(values: Values, period: int) -> Fields:
    """Every layer slides, but each `period`-th one."""
    whole_rope(values)
    values.refuse_unless_divisible("hidden_size", "num_attention_heads")
    values.values["hidden_act"] = values["hidden_activation"]
    depth = values["num_hidden_layers"]
    types = ["full_attention" if i % period == 0 else "sliding_attention" for i in range(1, depth + 1)]
    capped = values["final_logit_softcapping"] is not None
    softcap = values["attn_logit_softcapping"] is not None
    found = decoder(values)
    return {
        **found,
        "norm": "sandwich",
        "bias": values["attention_bias"],
        "softcap": softcap,
        "head_softcap": capped and found["head"] != "none",
        **windowed(values, types, () if softcap else _KERNEL_WIDTHS),
    }


def _gemma2(values: Values) -> Fields:
    return _gemma(values, period=2)


def _gemma3(values: Values) -> Fields:
    return {**_gemma(values, values["sliding_window_pattern"]), "qk_norm": "head"}


_KERNEL_WIDTHS = (256,)
_DEFAULTS = {
    "vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192, "tie_word_embeddings": True, "attention_bias": False, "sliding_window": 4096,
    "layer_types": None, "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0,
}  # fmt: skip
_KINDS = {"hidden_activation": choice(*GATED_ACTIVATIONS)}
_CHECKED = (*ROPE, "use_bidirectional_attention")
_WITHOUT_COST = frozenset({"hidden_act", "query_pre_attn_scalar", "rope_local_base_freq"})

GEMMA2 = Family(
    "gemma2", _DEFAULTS, _gemma2, ("Gemma2ForCausalLM", "Gemma2Model"), _CHECKED, _KINDS,
    also={"sliding_window_size": "sliding_window"}, without_cost=_WITHOUT_COST,
)  # fmt: skip

GEMMA3 = Family(
    "gemma3_text",
    {
        **_DEFAULTS, "vocab_size": 262208, "max_position_embeddings": 131072, "sliding_window_pattern": 6,
        "final_logit_softcapping": None, "attn_logit_softcapping": None,
    },
    _gemma3, ("Gemma3ForCausalLM", "Gemma3TextModel"), _CHECKED, _KINDS,
    also={"_sliding_window_pattern": "sliding_window_pattern"}, without_cost=_WITHOUT_COST,
)  # fmt: skip
