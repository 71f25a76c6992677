"""Models with learned positions: GPT-2's decoder, the encoders of BERT and Longformer."""

from tfcost.config.hf.common import Fields, head, in_runs
from tfcost.config.hf.family import Family, Values
from tfcost.config.hf.kinds import PLAIN_ACTIVATIONS, choice, only


def _gpt2(values: Values) -> Fields:
    values.refuse_unless_divisible("n_embd", "n_head")
    return {
        "d": values["n_embd"],
        "h": values["n_head"],
        "L": values["n_layer"],
        "f": values["n_inner"] or 4 * values["n_embd"],
        "V": values["vocab_size"],
        "positions": "learned",
        "max_positions": values["n_positions"],
        "causal": True,
        "bias": True,
        "norm": "pre",
        "ffn": PLAIN_ACTIVATIONS[values["activation_function"]],
        "ffn_bias": True,
        "head": head(values),
    }


def _bert(values: Values) -> Fields:
    values.refuse_unless_divisible("hidden_size", "num_attention_heads")
    built = values.get("architectures")
    if built is not None and not built.endswith("Model"):
        values.notes.append(f"the encoder alone: without the head of {built}, and without a pooler")
    return {
        "d": values["hidden_size"],
        "h": values["num_attention_heads"],
        "L": values["num_hidden_layers"],
        "f": values["intermediate_size"],
        "V": values["vocab_size"],
        "positions": "learned",
        "max_positions": values["max_position_embeddings"],
        "token_types": values["type_vocab_size"],
        "embedding_norm": True,
        "causal": False,
        "bias": True,
        "norm": "post",
        "ffn": PLAIN_ACTIVATIONS[values["hidden_act"]],
        "ffn_bias": True,
    }


def _longformer(values: Values) -> Fields:
    """Windows count both sides, so one side is half of it; no token is global unless a task makes it so."""
    depth, sizes = values["num_hidden_layers"], values["attention_window"]
    sizes = sizes if isinstance(sizes, list) else [sizes] * depth
    if len(sizes) != depth:
        raise values.wrong("attention_window", f"attention_window has {len(sizes)} layers, num_hidden_layers = {depth}")
    if any(size % 2 for size in sizes):
        raise values.wrong("attention_window", "attention_window: the windows must be even")
    windows = in_runs([{"attention": "longformer", "w": size // 2} for size in sizes])
    return {**_bert(values), "g": 0, **windows}


_BERT = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512, "type_vocab_size": 2,
}  # fmt: skip
_KINDS = {"hidden_act": choice(*PLAIN_ACTIVATIONS)}
_HEADS = ("Model", "ForMaskedLM", "ForPreTraining", "ForSequenceClassification", "ForQuestionAnswering",
          "ForTokenClassification", "ForMultipleChoice", "ForNextSentencePrediction")  # fmt: skip

GPT2 = Family(
    "gpt2",
    {
        "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": None,
        "activation_function": "gelu_new", "tie_word_embeddings": True,
    },
    _gpt2, ("GPT2LMHeadModel", "GPT2Model"),
    also={
        "hidden_size": "n_embd", "max_position_embeddings": "n_positions", "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    },
    without_cost=frozenset({
        "n_ctx", "reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx", "scale_attn_weights",
        "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
    }),
)  # fmt: skip

BERT = Family(
    "bert", _BERT, _bert, tuple(f"Bert{name}" for name in _HEADS),
    ("position_embedding_type",), {**_KINDS, "is_decoder": only(False)},
    without_cost=frozenset({
        "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type", "tie_word_embeddings",
    }),
)  # fmt: skip

LONGFORMER = Family(
    "longformer", {**_BERT, "attention_window": 512}, _longformer,
    tuple(f"Longformer{name}" for name in _HEADS), (), _KINDS,
    without_cost=frozenset({"attention_mode", "ignore_attention_mask", "tie_word_embeddings"}),
)  # fmt: skip
