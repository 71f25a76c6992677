"""Parameters and forward FLOPs of whole models, to the parameter and to the FLOP, against what transformers counts.

The oracle's numbers are in recorded.json, so that they are compared in every run, without transformers.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from models.terms import PARAMETERS, without_windows

from tfcost.analysis.model import ModelCost, compose
from tfcost.book import load_book
from tfcost.config.load import load_config
from tfcost.config.model import ModelConfig

CONFIGS = Path(__file__).parents[2] / "configs" / "hf"
RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text(encoding="utf-8"))["models"]
NAMES = sorted(RECORDED)
SIZES = [(name, i) for name in NAMES for i in range(3)]


def composed(config: ModelConfig) -> ModelCost:
    return compose(config, load_book(), pass_="forward")


def test_every_file_is_recorded() -> None:
    assert {file.stem for file in CONFIGS.glob("*.json")} == set(RECORDED)


@pytest.mark.parametrize("name", NAMES)
def test_parameters(name: str) -> None:
    config = load_config(CONFIGS / f"{name}.json")
    cost = composed(config)
    term = PARAMETERS.get(name, lambda _: 0)(config)
    assert cost.parameters.evaluate(cost.values) + term == RECORDED[name]["parameters"]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_forward_flops(name: str, size: int) -> None:
    counted: dict[str, Any] = RECORDED[name]["flops"][size]
    config = load_config(CONFIGS / f"{name}.json", {"n": counted["n"], "b": counted["b"]})
    cost = composed(without_windows(config))
    assert cost.quantities["matmul_flops"].exact.evaluate(cost.values) == counted["total"]
