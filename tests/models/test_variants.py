"""Other models of the same families than the committed ones, against transformers: sizes, patterns and switches."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers", reason="the extra 'models' (transformers) is not installed")

from models.oracle import build, forward_flops, parameters
from models.terms import with_windows_as_masks

from tfcost.analysis.model import compose
from tfcost.book import load_book
from tfcost.config.load import load_config

CONFIGS = Path(__file__).parents[2] / "configs" / "hf"
N, B = 96, 2

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {"n_layer": 3, "n_inner": 1000, "tie_word_embeddings": False}),
    ("gpt2", {"n_layer": 2, "architectures": ["GPT2Model"]}),
    ("bert-base", {"num_hidden_layers": 2, "type_vocab_size": 1, "intermediate_size": 100}),
    ("llama-3-8b", {"num_hidden_layers": 2, "head_dim": 64, "num_key_value_heads": 32}),
    ("llama-3-8b", {"num_hidden_layers": 1, "tie_word_embeddings": True, "num_key_value_heads": 1}),
    ("mistral-7b", {"num_hidden_layers": 3, "sliding_window": 10, "vocab_size": 77}),
    ("mixtral-8x7b", {"num_hidden_layers": 2, "num_local_experts": 5, "num_experts_per_tok": 3}),
    ("qwen2-7b", {"num_hidden_layers": 2, "tie_word_embeddings": True}),
    ("qwen3-8b", {"num_hidden_layers": 2, "num_attention_heads": 16}),
    ("qwen3-30b-a3b", {"num_hidden_layers": 6, "decoder_sparse_step": 2}),
    ("qwen3-30b-a3b", {"num_hidden_layers": 5, "mlp_only_layers": [0, 3], "head_dim": 64}),
    ("gemma-2-9b", {"num_hidden_layers": 5, "sliding_window": 8, "sliding_window_size": 8, "head_dim": 128}),
    ("gemma-3-1b", {"num_hidden_layers": 7, "sliding_window": 8, "sliding_window_pattern": 3}),
    ("phi-3-mini", {"num_hidden_layers": 2, "num_attention_heads": 24, "num_key_value_heads": 8,
                    "partial_rotary_factor": 0.75, "sliding_window": None, "tie_word_embeddings": True}),
    ("deepseek-v2-lite", {"num_hidden_layers": 3, "q_lora_rank": 100, "n_shared_experts": 3, "v_head_dim": 64}),
    ("deepseek-v3", {"num_hidden_layers": 4, "first_k_dense_replace": 0, "n_routed_experts": 16,
                     "num_experts_per_tok": 2}),
    ("gpt-oss-20b", {"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3, "num_local_experts": 4}),
    ("falcon-7b", {"num_hidden_layers": 2, "multi_query": False}),
    ("falcon-7b", {"num_hidden_layers": 2, "hidden_size": 512, "num_attention_heads": 8, "num_kv_heads": 2,
                   "new_decoder_architecture": True}),
    ("gpt-neox-20b", {"num_hidden_layers": 2, "rotary_pct": 0.5, "tie_word_embeddings": True}),
    ("t5-small", {"num_layers": 2, "num_decoder_layers": 3, "d_kv": 32, "relative_attention_num_buckets": 8}),
]  # fmt: skip


@pytest.fixture(params=VARIANTS, ids=lambda variant: f"{variant[0]}-{'-'.join(variant[1])}"[:70])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name, changes = request.param
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads((CONFIGS / f"{name}.json").read_text()) | changes))
    return path


def test_parameters_and_flops_are_those_of_transformers(path: Path) -> None:
    model = build(path)
    encoder = load_config(path).encoder
    sizes: dict[str, Any] = {"n": N, "b": B} | ({"encoder": {"n": N, "L": encoder.L}} if encoder else {})
    config = load_config(path, sizes)
    cost = compose(with_windows_as_masks(config), load_book(), pass_="forward")
    assert cost.parameters.evaluate(cost.values) == parameters(model)
    assert cost.quantities["matmul_flops"].exact.evaluate(cost.values) == forward_flops(model, B, N).total
