"""config.json files: the committed ones are the models of the YAML files; whatever is wrong is told with its line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tfcost.config.hf.read import FAMILIES
from tfcost.config.load import load_config, load_model
from tfcost.config.model import ModelConfig
from tfcost.config.runs import encoder_layers_of, layers_of
from tfcost.errors import UserError

CONFIGS = Path(__file__).parents[3] / "configs"
FILES = sorted((CONFIGS / "hf").glob("*.json"))


def described(config: ModelConfig) -> Any:
    """All but the name, every layer complete."""
    return config.model_dump(exclude={"name", "layers"}), layers_of(config), encoder_layers_of(config)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_and_its_yaml_are_the_same_model(file: Path) -> None:
    assert described(load_config(file)) == described(load_config(CONFIGS / f"{file.stem}.yaml"))


def test_every_family_has_a_file() -> None:
    assert {json.loads(file.read_text())["model_type"] for file in FILES} == set(FAMILIES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.json"


def changed(path: Path, name: str, **changes: Any) -> Path:
    """The committed file `name` with `changes`, a key a line; `...` takes a key away."""
    fields = json.loads((CONFIGS / "hf" / f"{name}.json").read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not ...}, indent=0))
    return path


def load(path: Path, name: str, **changes: Any) -> ModelConfig:
    return load_config(changed(path, name, **changes))


def line_of(path: Path, key: str) -> int:
    return next(i for i, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(f'"{key}"'))


@pytest.mark.parametrize(
    ("name", "changes", "key", "expected"),
    [
        ("llama-3-8b", {"hidden_size": "4096"}, "hidden_size", "hidden_size: expected a whole number, found '4096'"),
        ("llama-3-8b", {"hidden_size": 4096.0}, "hidden_size", "hidden_size: expected a whole number, found '4096.0'"),
        ("llama-3-8b", {"hidden_size": True}, "hidden_size", "hidden_size: expected a whole number, found 'True'"),
        ("llama-3-8b", {"hidden_size": None}, "hidden_size", "hidden_size: expected a whole number, found nothing"),
        ("llama-3-8b", {"hidden_size": 0}, "hidden_size", "hidden_size: 0 is not from 1 to"),
        ("llama-3-8b", {"vocab_size": -1}, "vocab_size", "vocab_size: -1 is not from 1 to"),
        ("llama-3-8b", {"hidden_size": 10**15}, "hidden_size", "hidden_size: 1000000000000000 is not from 1 to"),
        ("llama-3-8b", {"num_hidden_layers": 10**6}, "num_hidden_layers", "num_hidden_layers: 1000000 is not from 1"),
        ("llama-3-8b", {"num_attention_heads": 33}, "num_attention_heads", "hidden_size = 4096 is not divisible by"),
        ("llama-3-8b", {"num_key_value_heads": 3}, "num_key_value_heads", "num_attention_heads = 32 is not divisible"),
        ("llama-3-8b", {"hidden_act": "sillu"}, "hidden_act", "hidden_act: 'sillu' is not understood; did you mean"),
        ("llama-3-8b", {"tie_word_embeddings": 1}, "tie_word_embeddings", "tie_word_embeddings: expected true or"),
        ("llama-3-8b", {"hiden_size": 5}, "hiden_size", "'hiden_size' is not understood for model_type llama; did you"),
        ("llama-3-8b", {"zzz": 5}, "zzz", "'zzz' is not understood for model_type llama"),
        ("llama-3-8b", {"num_experts": 8}, "num_experts", "'num_experts' is not understood for model_type llama"),
        ("llama-3-8b", {"output_attentions": True}, "output_attentions", "output_attentions: 'True' changes the cost"),
        ("llama-3-8b", {"torch_dtype": "int8"}, "torch_dtype", "torch_dtype: 'int8' is not understood"),
        ("llama-3-8b", {"dtype": "float32"}, "dtype", "dtype = float32 contradicts dtype = bfloat16"),
        ("llama-3-8b", {"architectures": ["LlamaForSequenceClassification"]}, "architectures",
         "architectures: 'LlamaForSequenceClassification' is not understood"),
        ("llama-3-8b", {"rope_scaling": {"partial_rotary_factor": 0.5}}, "rope_scaling", "rope_scaling: partial"),
        ("llama-3-8b", {"rope_scaling": "linear"}, "rope_scaling", "rope_scaling: expected a mapping, found 'linear'"),
        ("llama-3-8b", {"model_type": "lama"}, "model_type", "model_type: 'lama' is not known; did you mean 'llama'?"),
        ("llama-3-8b", {"model_type": 3}, "model_type", "model_type: '3' is not known"),
        ("qwen2-7b", {"model_type": "qwen2_moe"}, "model_type", "model_type: 'qwen2_moe' is not known; did you mean"),
        ("mistral-7b", {"sliding_window": 0}, "sliding_window", "sliding_window: 0 is not from 1 to"),
        ("mistral-7b", {"sliding_window": -1}, "sliding_window", "sliding_window: -1 is not from 1 to"),
        ("gemma-2-9b", {"sliding_window_size": 5}, "sliding_window_size", "sliding_window_size = 5 contradicts"),
        ("gemma-2-9b", {"layer_types": ["full_attention"]}, "layer_types", "layer_types has 1 layers, num_"),
        ("gemma-2-9b", {"layer_types": ["full"] * 42}, "layer_types", "layer_types: 'full' is not understood; known:"),
        ("gemma-3-1b", {"use_bidirectional_attention": True}, "use_bidirectional_attention",
         "use_bidirectional_attention: 'True' changes the cost and is not understood"),
        ("gpt-oss-20b", {"sliding_window": None}, "layer_types", "layer_types has sliding_attention, but"),
        ("gpt-oss-20b", {"experts_per_token": 2}, "num_experts_per_tok", "num_experts_per_tok = 4 contradicts"),
        ("mixtral-8x7b", {"num_experts_per_tok": 9}, "num_experts_per_tok", "num_experts_per_tok = 9 is more than"),
        ("deepseek-v3", {"num_key_value_heads": 8}, "num_key_value_heads", "num_key_value_heads: latent attention"),
        ("deepseek-v3", {"attention_bias": True}, "attention_bias", "attention_bias: 'True' changes the cost"),
        ("deepseek-v3", {"moe_layer_freq": 2}, "moe_layer_freq", "moe_layer_freq: '2' changes the cost"),
        ("deepseek-v2-lite", {"num_experts_per_tok": ...}, "model_type", "'num_experts_per_tok' is missing, and"),
        ("falcon-7b", {"alibi": True}, "alibi", "alibi: 'True' changes the cost and is not understood"),
        ("falcon-7b", {"new_decoder_architecture": True, "parallel_attn": False}, "parallel_attn", "parallel_attn: "),
        ("falcon-7b", {"num_attention_heads": 70}, "num_attention_heads", "hidden_size = 4544 is not divisible by"),
        ("gpt-neox-20b", {"rotary_pct": 1.5}, "rotary_pct", "rotary_pct: the part of a head that is turned"),
        ("gpt-neox-20b", {"rotary_pct": "0.25"}, "rotary_pct", "rotary_pct: expected a number above 0, found '0.25'"),
        ("gpt-neox-20b", {"rotary_pct": 0.265}, "rotary_pct", "rope_width = 25 must be even"),
        ("gpt2", {"n_head": 7}, "n_head", "n_embd = 768 is not divisible by n_head = 7"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention", "add_cross_attention: 'True' changes the cost"),
        ("gpt2", {"hidden_size": 512}, "hidden_size", "hidden_size = 512 contradicts n_embd = 768"),
        ("bert-base", {"position_embedding_type": "relative_key"}, "position_embedding_type",
         "position_embedding_type: 'relative_key' changes the cost"),
        ("bert-base", {"is_decoder": True}, "is_decoder", "is_decoder: 'True' changes the cost"),
        ("longformer-base", {"attention_window": [512]}, "attention_window", "attention_window has 1 layers"),
        ("longformer-base", {"attention_window": 511}, "attention_window", "attention_window: the windows must"),
        ("t5-small", {"feed_forward_proj": "gated"}, "feed_forward_proj", "feed_forward_proj: 'gated' is not"),
        ("t5-small", {"is_encoder_decoder": False}, "is_encoder_decoder", "is_encoder_decoder: 'False' changes"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(
    path: Path, name: str, changes: dict[str, Any], key: str, expected: str
) -> None:
    changed(path, name, **changes)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:{line_of(path, key)}: {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{}", '{"fields": {"n": 3}}', '{"$schema": "https://json-schema.org"}'])
def test_json_that_is_no_model_is_told(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(UserError, match=r":1: 'model_type' is missing: not the config.json of a model"):
        load_config(path)


def test_missing_fields_take_the_defaults_of_transformers_and_are_listed(path: Path) -> None:
    path.write_text('{"model_type": "llama"}')
    loaded = load_model(path)
    assert (loaded.config.d, loaded.config.f, loaded.config.L, loaded.config.h, loaded.config.n) == (
        4096, 11008, 32, 32, 2048,
    )  # fmt: skip
    assert re.match(r"defaults of transformers [0-9.]+ taken: vocab_size = 32000, hidden_size = 4096", loaded.notes[0])
    assert "n = 2048 (all positions) and b = 1, unless the command line says others" in loaded.notes


def test_sizes_of_the_command_line_come_before_those_of_the_file() -> None:
    config = load_config(CONFIGS / "hf" / "llama-3-8b.json", {"n": "16k", "b": 4})
    assert (config.n, config.b) == (16 * 1024, 4)
    with pytest.raises(UserError, match=r"^--n: n = 2048 is more than max_positions = 1024$"):
        load_config(CONFIGS / "hf" / "gpt2.json", {"n": "2048"})


def attentions(config: ModelConfig) -> list[tuple[int, list[tuple[str, int | None]]]]:
    return [(run.count, [(layer.attention, layer.w) for layer in run.pattern]) for run in layers_of(config)]


FULL = ("standard", None)


def test_windows_that_are_null_or_switched_off_are_none(path: Path) -> None:
    assert attentions(load(path, "mistral-7b", sliding_window=None)) == [(32, [FULL])]
    assert attentions(load(path, "qwen2-7b", sliding_window=4096)) == [(28, [FULL])]
    assert attentions(load(path, "qwen2-7b", sliding_window=None, use_sliding_window=True)) == [(28, [FULL])]


def test_windows_count_the_query_itself_and_start_at_max_window_layers(path: Path) -> None:
    config = load(path, "qwen2-7b", sliding_window=4096, use_sliding_window=True, max_window_layers=20)
    assert attentions(config) == [(20, [FULL]), (8, [("standard", 4095)])]
    assert attentions(load(path, "mistral-7b")) == [(32, [("sliding-window", 4095)])]


def test_alternating_layers_are_one_pattern_and_what_is_left_over(path: Path) -> None:
    slides = ("sliding-window", 511)
    assert attentions(load(path, "gemma-3-1b")) == [(4, [slides] * 5 + [FULL]), (2, [slides])]
    assert attentions(load(path, "gemma-3-1b", sliding_window_pattern=2)) == [(13, [slides, FULL])]
    types = ["full_attention", *["sliding_attention"] * 25]
    assert attentions(load(path, "gemma-3-1b", layer_types=types)) == [(1, [FULL]), (25, [slides])]


def test_experts_in_some_layers_only(path: Path) -> None:
    def sparse(config: ModelConfig) -> list[tuple[int, list[bool]]]:
        return [(run.count, [layer.moe is not None for layer in run.pattern]) for run in layers_of(config)]

    assert sparse(load(path, "qwen3-30b-a3b", decoder_sparse_step=2)) == [(24, [False, True])]
    assert sparse(load(path, "qwen3-30b-a3b", mlp_only_layers=[0, 1])) == [(2, [False]), (46, [True])]
    assert sparse(load(path, "deepseek-v3", first_k_dense_replace=61)) == [(61, [False])]


def test_a_partly_turned_head_and_tied_embeddings(path: Path) -> None:
    """Phi-4 mini: three quarters of a head of 128, eight key/value heads."""
    config = load(path, "phi-3-mini", num_attention_heads=24, num_key_value_heads=8, partial_rotary_factor=0.75,
                  tie_word_embeddings=True)  # fmt: skip
    assert (config.rope_width, config.h_kv, config.head) == (96, 8, "tied")


def test_falcons_second_architecture_has_two_norms_and_groups(path: Path) -> None:
    config = load(path, "falcon-7b", hidden_size=8192, num_attention_heads=128, num_kv_heads=8,
                  new_decoder_architecture=True)  # fmt: skip
    assert (config.parallel, config.h_kv) == ("two norms", 8)
    assert load(path, "falcon-7b", multi_query=False).kv_heads == 71


def test_a_class_without_a_head_has_none(path: Path) -> None:
    assert load(path, "llama-3-8b", architectures=["LlamaModel"]).head == "none"
    config = load(path, "gemma-2-9b", architectures=["Gemma2Model"])
    assert (config.head, config.head_softcap) == ("none", False)


def test_what_is_left_out_is_told(path: Path) -> None:
    told = " ".join(load_model(changed(path, "deepseek-v3")).notes)
    assert "num_nextn_predict_layers" in told
    assert "quantization_config: the weights are counted in the dtype above" in told
    assert "without the head of BertForMaskedLM" in " ".join(load_model(changed(path, "bert-base")).notes)


def test_heads_need_not_add_up_to_the_width_where_a_head_width_is_said(path: Path) -> None:
    config = load(path, "llama-3-8b", head_dim=64)
    assert config.h * config.head_width == 2048 != config.d
    assert load(path, "t5-small", d_kv=128).head_width == 128


def test_a_model_is_called_as_its_file_or_as_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    changed(folder / "config.json", "gpt2")
    assert load_config(folder / "config.json").name == "my-model"
    assert load_config(CONFIGS / "hf" / "gpt2.json").name == "gpt2"
