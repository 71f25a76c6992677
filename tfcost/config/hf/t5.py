"""T5: an encoder, and a decoder that attends to its output; positions are a bias on the scores."""

from tfcost.config.hf.common import Fields
from tfcost.config.hf.family import Family, Values
from tfcost.config.hf.kinds import only
from tfcost.config.hf.names import default_length

_FFN = {"relu": "relu", "gelu": "gelu", "gated-gelu": "geglu", "gated-silu": "swiglu"}


def _t5(values: Values) -> Fields:
    if values["num_heads"] * values["d_kv"] != values["d_model"]:
        values.notes.append(f"num_heads*d_kv = {values['num_heads'] * values['d_kv']} is not d_model = "
                            f"{values['d_model']}, as T5 allows")  # fmt: skip
    tied = values.get("tie_word_embeddings") is not False
    read = default_length(values.get("n_positions"))
    values.notes.append(f"the encoder reads {read} tokens, whatever n the command line says")
    return {
        "d": values["d_model"],
        "h": values["num_heads"],
        "d_h": values["d_kv"],
        "L": values["num_decoder_layers"] or values["num_layers"],
        "f": values["d_ff"],
        "V": values["vocab_size"],
        "positions": "relative",
        "buckets": values["relative_attention_num_buckets"],
        "causal": True,
        "norm_kind": "rms",
        "norm": "pre",
        "ffn": _FFN[values["feed_forward_proj"]],
        "encoder": {"n": read, "L": values["num_layers"]},
        "head": "tied" if tied else "untied",
    }


T5 = Family(
    "t5",
    {
        "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_decoder_layers": None,
        "num_heads": 8, "relative_attention_num_buckets": 32, "feed_forward_proj": "relu",
    },
    _t5, ("T5ForConditionalGeneration", "T5WithLMHeadModel"),
    ("n_positions", "tie_word_embeddings"),
    {"is_encoder_decoder": only(True), "is_decoder": only(False)},
    also={
        "hidden_size": "d_model", "num_attention_heads": "num_heads", "num_hidden_layers": "num_layers",
        "head_dim": "d_kv",
    },
    without_cost=frozenset({
        "dense_act_fn", "is_gated_act", "relative_attention_max_distance", "scale_decoder_outputs",
    }),
)  # fmt: skip
