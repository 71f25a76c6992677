"""Parameters and forward FLOPs of whole models, to the parameter and to the FLOP, against what transformers counts.

The oracle's numbers are in recorded.json, so that they are compared in every run, without transformers.
"""

import json
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from models.terms import PARAMETERS, WITHOUT_CHUNKS, longformer_core, with_windows_as_masks

from tfcost.analysis.model import ModelCost, compose
from tfcost.book import Book, load_book
from tfcost.config.load import load_config
from tfcost.config.model import ModelConfig

CONFIGS = Path(__file__).parents[2] / "configs" / "hf"
RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text(encoding="utf-8"))["models"]
NAMES = sorted(RECORDED)
SIZES = [(name, size) for name in NAMES for size in range(3) if name != "longformer-base"]


@cache
def book() -> Book:
    return load_book()


def composed(config: ModelConfig) -> ModelCost:
    return compose(with_windows_as_masks(config), book(), pass_="forward")


def counted(name: str, size: int) -> tuple[dict[str, Any], ModelConfig]:
    """What transformers counts of a file at one of its sizes, and the model at that size, an encoder's n the same."""
    found = RECORDED[name]["flops"][size]
    sizes: dict[str, Any] = {"n": found["n"], "b": found["b"]}
    encoder = load_config(CONFIGS / f"{name}.json").encoder
    if encoder is not None:
        sizes["encoder"] = {"n": found["n"], "L": encoder.L}
    return found, load_config(CONFIGS / f"{name}.json", sizes)


def alike(layers: list[int]) -> list[list[int]]:
    return [[flops, len(list(same))] for flops, same in groupby(layers)]


def layer_flops(cost: ModelCost) -> list[int]:
    """The FLOPs of every layer, in order."""
    found: list[int] = []
    for run in cost.runs:
        if all(part.forward.scope == "block" for part in run.parts):
            formulas = [
                [part.told(part.forward.quantities["matmul_flops"].exact) for part in layer] for layer in run.layers
            ]
            pattern = [sum(int(formula.evaluate(cost.values)) for formula in layer) for layer in formulas]
            found += pattern * int(run.count.evaluate(cost.values))
    return found


def test_every_file_is_recorded() -> None:
    assert {file.stem for file in CONFIGS.glob("*.json")} == set(RECORDED)


@pytest.mark.parametrize("name", NAMES)
def test_parameters(name: str) -> None:
    config = load_config(CONFIGS / f"{name}.json")
    cost = compose(config, book(), pass_="forward")
    term = PARAMETERS.get(name, lambda _: 0)(config)
    assert cost.parameters.evaluate(cost.values) + term == RECORDED[name]["parameters"]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_forward_flops(name: str, size: int) -> None:
    found, config = counted(name, size)
    cost = composed(config)
    assert cost.quantities["matmul_flops"].exact.evaluate(cost.values) == found["total"]
    assert alike(layer_flops(cost)) == found.get("encoder", []) + found["layers"]


@pytest.mark.parametrize("size", range(3))
def test_forward_flops_of_longformer(size: int) -> None:
    """Its products beside the attention itself, which transformers does in chunks and tfcost's kernel in tiles."""
    found, config = counted("longformer-base", size)
    cost = composed(config)
    rows = [row for row in cost.rows if row.step in WITHOUT_CHUNKS]
    beside = sum(row.count.evaluate(cost.values) * row.amounts["matmul_flops"].evaluate(cost.values) for row in rows)
    assert {row.step for row in rows} == set(WITHOUT_CHUNKS)
    assert beside + config.L * longformer_core(config) == found["total"]
