"""Small models of open families, and the variants of derived parts that they are made of."""

from typing import Any

RMS = {"n": 40, "b": 2, "d": 32, "h": 4, "V": 70, "causal": True, "norm_kind": "rms", "norm": "pre", "rope": True,
       "ffn": "swiglu", "head": "untied", "dtype": "float32"}  # fmt: skip
GPT2 = {"name": "gpt2", "n": 48, "b": 2, "d": 32, "h": 4, "L": 4, "V": 100, "positions": "learned",
        "max_positions": 64, "causal": True, "bias": True, "norm": "pre", "ffn": "gelu", "ffn_bias": True,
        "head": "tied", "dtype": "float32"}  # fmt: skip
LLAMA = RMS | {"name": "llama", "L": 4, "h_kv": 2, "f": 88}
GEMMA = RMS | {"name": "gemma2", "L": 5, "h_kv": 2, "d_h": 12, "norm": "sandwich", "softcap": True, "ffn": "geglu",
               "head": "tied", "head_softcap": True,
               "layers": [{"count": 2, "pattern": [{"w": 7}, {}]}, {"count": 1, "pattern": [{"w": 7}]}]}  # fmt: skip
QWEN_MOE = RMS | {"name": "qwen2-moe", "L": 2, "bias": "qkv",
                  "moe": {"experts": 8, "chosen": 2, "f": 24, "shared": 1, "shared_f": 40, "gate": True}}  # fmt: skip
DEEPSEEK = RMS | {"name": "deepseek", "L": 5, "f": 64, "rope": False, "h": 2,
                  "mla": {"q_rank": 20, "kv_rank": 12, "rope_width": 4, "nope_width": 10, "v_width": 6},
                  "moe": {"experts": 4, "chosen": 2, "f": 24, "shared": 2},
                  "layers": [{"count": 1, "pattern": [{"moe": None}]}, {"count": 4, "pattern": [{}]}]}  # fmt: skip
GPT_OSS = RMS | {"name": "gpt-oss", "L": 2, "h_kv": 2, "bias": True, "sinks": True,
                 "moe": {"experts": 4, "chosen": 2, "f": 24, "bias": True},
                 "layers": [{"count": 1, "pattern": [{"w": 5}, {}]}]}  # fmt: skip
NEOX = RMS | {"name": "gpt-neox", "L": 3, "norm_kind": "layer", "parallel": "two norms", "bias": True,
              "ffn_bias": True, "ffn": "gelu", "rope_width": 4}  # fmt: skip
T5 = RMS | {"name": "t5", "L": 3, "rope": False, "positions": "relative", "d_h": 6, "ffn": "relu", "head": "tied",
            "encoder": {"n": 30, "L": 2}}  # fmt: skip

_LLAMA: dict[str, Any] = {"norm_kind": "rms", "norm": "pre", "bias": False, "rope": "full", "qk_norm": "none"}
_GPT_OSS = {"sinks": True}
_FFN = {"activation": "gelu", "norm": "pre", "bias": True}
SMALL_BOOK: dict[str, list[dict[str, Any]]] = {
    "standard": [{"norm": "pre", "bias": True, "causal": True}],
    "ffn": [_FFN],
    "decoder-attention": [_LLAMA | {"window": False, "attention": "standard"}],
    "decoder-ffn": [{"activation": "swiglu"}],
    "decoder-ends": [{"part": "norm"}],
    "transformer": [{}],
    "recomputed-block": [{"of": "standard", "norm": "pre", "bias": True, "causal": True}, {"of": "ffn"} | _FFN,
                         {"of": "decoder-attention", "window": False, "attention": "standard"} | _LLAMA,
                         {"of": "decoder-ffn", "activation": "swiglu"}],
}  # fmt: skip
BOOKED: dict[str, list[dict[str, Any]]] = {
    "standard": [{"norm": "none", "causal": True}],
    "decoder-attention": [{"softcap": True}, {"bias": "qkv"}, _GPT_OSS],
    "decoder-ffn": [{}],
    "decoder-ends": [{}],
    "transformer": [{}],
    "latent-attention": [{}],
    "parallel-block": [{"rope": "partial"}],
    "encoder-decoder": [{}],
    "recomputed-block": [{"of": "decoder-attention"} | _GPT_OSS, {"of": "decoder-ffn", "expert_bias": True}],
}
