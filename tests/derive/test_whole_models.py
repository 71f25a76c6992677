"""Models composed of derived parts against the same models run as a whole: parameters, matmul FLOPs (torch's counter)
and peak memory (the CPU allocator), for inference and a training step, at several depths."""

from typing import Any

import pytest
from derive.whole import record_of, run_model

from tfcost.analysis.model import ModelCost, compose
from tfcost.book import Book, write_record
from tfcost.config.load import make_config
from tfcost.derive.costs import derive_variant
from tfcost.derive.technique import Technique
from tfcost.techniques import ffn, linear, standard, transformer

TOLERANCE = 64
GPT = {"name": "gpt", "n": 48, "b": 2, "d": 32, "h": 4, "L": 3, "V": 100, "positions": "learned", "max_positions": 64,
       "causal": True, "bias": True, "norm": "pre", "ffn": "gelu", "ffn_bias": True, "head": "tied"}  # fmt: skip
BERT = {"name": "bert", "n": 33, "b": 2, "d": 24, "h": 2, "L": 2, "V": 50, "positions": "learned", "max_positions": 40,
        "token_types": 2, "embedding_norm": True, "bias": True, "norm": "post", "ffn": "gelu",
        "ffn_bias": True}  # fmt: skip
LAYERS = {"name": "layers", "n": 100, "b": 2, "d": 16, "h": 2, "L": 4, "ffn": "relu", "ffn_bias": True}
GROUPED = {"name": "grouped", "n": 40, "b": 3, "d": 32, "h": 4, "h_kv": 2, "L": 2, "V": 70, "norm": "pre",
           "ffn": "swiglu", "head": "untied"}  # fmt: skip
LINEAR = {**GPT, "name": "linear", "attention": "linear", "causal": False}
WIDE = {**GPT, "name": "wide vocabulary", "V": 5000, "L": 1}
MODELS = [GPT, BERT, LAYERS, GROUPED, LINEAR, WIDE, {**GPT, "name": "deep", "L": 7, "n": 9}]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The parts these models need, derived for the CPU (no workspace), as a book of their own."""
    folder = tmp_path_factory.mktemp("book")
    for module in (standard, linear, ffn, transformer):
        technique = module.TECHNIQUE
        costs = [cost for v in technique.variants() if _needed(technique, v.scope, v.options)
                 for cost in derive_variant(technique, v, "cpu")]  # fmt: skip
        write_record(record_of(technique, costs), folder)
    return Book(folder)


def _needed(technique: Technique, scope: str, options: Any) -> bool:
    return scope == "part" or (scope == "block" and not (technique.name == "linear" and options["causal"]))


@pytest.mark.parametrize("training", [False, True], ids=["forward", "train"])
@pytest.mark.parametrize("fields", MODELS, ids=lambda fields: fields["name"])
def test_composed_equals_whole(fields: dict[str, Any], training: bool, book: Book) -> None:
    config = make_config({**fields, "dtype": "float32"}, book.names)
    cost = compose(config, book, pass_="train" if training else "forward")
    parameters, flops, peak = run_model(config, cost, book)
    assert cost.parameters.evaluate(cost.values) == parameters
    assert _value(cost, "matmul_flops") == flops
    assert abs(_value(cost, "peak_bytes") - peak) <= TOLERANCE, cost.peak_moment


def _value(cost: ModelCost, name: str) -> int:
    return int(cost.quantities[name].exact.evaluate(cost.values))
