"""The families' defaults are those of transformers' configuration classes, of the version they name."""

import json
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers", reason="the extra 'models' is not installed")

from tfcost.config.hf.family import REQUIRED, TRANSFORMERS, Family  # noqa: E402
from tfcost.config.hf.read import FAMILIES  # noqa: E402
from tfcost.config.load import load_model  # noqa: E402

# What transformers reads from a configuration of these types although their classes do not declare it.
UNDECLARED = {("gemma3_text", "sliding_window_pattern"): 6}

CHOSEN = {"deepseek_v2": {"num_experts_per_tok": 6}}


def declared(family: Family, name: str) -> Any:
    config = type(transformers.AutoConfig.for_model(family.model_type))
    if (family.model_type, name) in UNDECLARED:
        return UNDECLARED[family.model_type, name]
    if name == "tie_word_embeddings" and name not in config.__dataclass_fields__:
        return config().tie_word_embeddings
    return config.__dataclass_fields__[name].default


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.model_type)
def test_defaults_are_those_of_transformers(family: Family) -> None:
    for name, default in family.defaults.items():
        assert declared(family, name) == (None if default is REQUIRED else default), name


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.model_type)
def test_what_transformers_writes_of_its_own_defaults_is_understood(tmp_path: Path, family: Family) -> None:
    written = transformers.AutoConfig.for_model(family.model_type, **CHOSEN.get(family.model_type, {})).to_dict()
    path = tmp_path / "config.json"
    path.write_text(json.dumps(written))
    loaded = load_model(path)
    assert transformers.AutoConfig.for_model(family.model_type).num_hidden_layers == loaded.config.L
    assert not any("defaults" in note for note in loaded.notes)


def test_the_version_is_the_one_compared_with() -> None:
    assert transformers.__version__.split(".")[:2] == TRANSFORMERS.split(".")[:2]
