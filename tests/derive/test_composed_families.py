"""Models of open families, composed of derived parts, against the same models run as a whole on the CPU: parameters,
matmul FLOPs (torch's counter) and peak memory (the allocator), for every pass and recomputation policy."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from derive.whole import record_of, run_model, value_of

from tfcost.analysis.model import compose
from tfcost.book import Book, write_record
from tfcost.config.load import make_config
from tfcost.derive.costs import derive_variant
from tfcost.derive.technique import Technique, Variant
from tfcost.techniques import (
    decoder_attention,
    decoder_ends,
    decoder_ffn,
    ffn,
    latent_attention,
    parallel_block,
    recomputed_block,
    standard,
    transformer,
)

TOLERANCE = 64
RMS = {"n": 40, "b": 2, "d": 32, "h": 4, "V": 70, "causal": True, "norm_kind": "rms", "norm": "pre", "rope": True,
       "ffn": "swiglu", "head": "untied", "dtype": "float32"}  # fmt: skip
GPT2 = {"name": "gpt2", "n": 48, "b": 2, "d": 32, "h": 4, "L": 4, "V": 100, "positions": "learned", "max_positions": 64,
        "causal": True, "bias": True, "norm": "pre", "ffn": "gelu", "ffn_bias": True, "head": "tied",
        "dtype": "float32"}  # fmt: skip
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
NEOX = RMS | {"name": "gpt-neox", "L": 3, "norm_kind": "layer", "parallel": "two norms", "bias": True, "ffn_bias": True,
              "ffn": "gelu", "rope_width": 4}  # fmt: skip
MODELS = [LLAMA, GEMMA, QWEN_MOE, DEEPSEEK, GPT_OSS, NEOX]
RECOMPUTED = [GPT2, LLAMA, LLAMA | {"name": "wide", "f": 400}, LLAMA | {"name": "long", "n": 120}, GPT_OSS,
              LLAMA | {"name": "deep", "n": 8, "L": 12}]  # fmt: skip
POLICIES = [{}, {"recompute": "full"}, {"recompute": "every", "every": 2}, {"recompute": "selective"}]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The parts these models need, derived for the CPU in float32, as a book of their own."""
    folder = tmp_path_factory.mktemp("book")
    for module in _MODULES:
        technique = module.TECHNIQUE
        costs = [cost for v in technique.variants() if _needed(v, technique.name) for cost in _derived(technique, v)]
        write_record(record_of(technique, costs), folder)
    return Book(folder)


_MODULES = (decoder_attention, decoder_ends, decoder_ffn, ffn, latent_attention, parallel_block, recomputed_block,
            standard, transformer)  # fmt: skip


def _derived(technique: Technique, variant: Variant) -> Iterator[Any]:
    return derive_variant(technique, replace(variant, dtypes=("float32",)), "cpu")


_KINDS = [("pre", False, "full", "none", False, False), ("sandwich", False, "full", "none", True, False),
          ("pre", "qkv", "full", "none", False, False), ("pre", True, "full", "none", False, True)]  # fmt: skip
_BOOKED = ("decoder-attention", "decoder-ffn", "standard", "ffn")
_OTHERS = ("decoder-ends", "latent-attention", "parallel-block", "transformer")
_NAMES = ("norm", "bias", "rope", "qk_norm", "softcap", "sinks")


def _needed(variant: Variant, technique: str) -> bool:
    options: Mapping[str, Any] = variant.options
    of = options.get("of", technique)
    if "float32" not in variant.dtypes or of not in (*_BOOKED, *(() if "of" in options else _OTHERS)):
        return False
    if of in ("standard", "ffn"):
        gelu = options.get("activation", "gelu") == "gelu"
        return variant.scope == "block" and (options["norm"], options["bias"]) == ("pre", True) and gelu
    if "norm_kind" in options:
        asked = tuple(options[name] for name in _NAMES) in _KINDS and options["norm_kind"] == "rms"
        return asked and (not options["window"] or options["norm"] == "sandwich" or bool(options["sinks"]))
    return "norms" not in options or options["rope"] == "partial"


@pytest.mark.parametrize("pass_", ["forward", "decode", "train"])
@pytest.mark.parametrize("fields", MODELS, ids=lambda fields: fields["name"])
def test_composed_equals_whole(fields: dict[str, Any], pass_: str, book: Book) -> None:
    if pass_ == "decode" and "moe" in fields:
        pytest.skip("which experts a single token goes to is left to real data")
    _check(fields, pass_, book)


@pytest.mark.parametrize("policy", POLICIES[1:], ids=lambda policy: policy["recompute"])
@pytest.mark.parametrize("fields", RECOMPUTED, ids=lambda fields: fields["name"])
def test_recomputed_equals_whole(fields: dict[str, Any], policy: dict[str, Any], book: Book) -> None:
    _check(fields | {"training": policy}, "train", book)


def _check(fields: dict[str, Any], pass_: str, book: Book) -> None:
    config = make_config(fields, book.names)
    cost = compose(config, book, pass_=pass_)
    parameters, flops, peak = run_model(config, cost, book)
    assert cost.parameters.evaluate(cost.values) == parameters
    assert value_of(cost, "matmul_flops") == flops
    assert abs(value_of(cost, "peak_bytes") - peak) <= TOLERANCE, cost.peak_moment
