"""Steps that add up the gradients of several batches, composed and run on the CPU: matmul FLOPs are equal; the peak is
at most the composed one, and equal where the head rules it.
"""

from typing import Any

import pytest
from derive.whole import record_of, run_model, value_of

from tfcost.analysis.model import compose
from tfcost.book import Book, write_record
from tfcost.config.load import make_config
from tfcost.derive.costs import derive_variant
from tfcost.derive.technique import Variant
from tfcost.techniques import ffn, standard, transformer

pytestmark = pytest.mark.slow  # every case runs whole training steps of a model

TOLERANCE = 64
GPT = {"name": "gpt", "n": 48, "b": 2, "d": 32, "h": 4, "L": 3, "V": 100, "causal": True, "bias": True, "norm": "pre",
       "ffn": "gelu", "ffn_bias": True, "head": "untied", "dtype": "float32"}  # fmt: skip
WANTED: list[dict[str, Any]] = [
    {"causal": True, "norm": "pre", "bias": True},
    {"activation": "gelu", "norm": "pre", "bias": True, "fused": False},
    {"part": "embedding", "positions": False, "segments": False, "norm": False},
    *({"part": part} for part in ("norm", "head and loss", "sgd", "adamw")),
]
TRAINING: list[dict[str, Any]] = [
    {"accumulate": 2},
    {"accumulate": 3, "optimizer": "sgd"},
    {"accumulate": 2, "optimizer": "adamw"},
    {"accumulate": 1, "optimizer": "adamw"},
]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The parts of one kind of model, derived for the CPU."""
    folder = tmp_path_factory.mktemp("book")
    for module in (standard, ffn, transformer):
        technique = module.TECHNIQUE
        costs = [cost for variant in technique.variants() if _needed(variant)
                 for cost in derive_variant(technique, variant, "cpu")]  # fmt: skip
        write_record(record_of(technique, costs), folder)
    return Book(folder)


def _needed(variant: Variant) -> bool:
    return variant.scope in ("block", "part") and dict(variant.options) in WANTED


@pytest.mark.parametrize("head", ["tied", "untied"])
@pytest.mark.parametrize("training", TRAINING, ids=str)
def test_a_step_of_several_batches(training: dict[str, Any], head: str, book: Book) -> None:
    config = make_config({**GPT, "head": head, "training": training}, book.names)
    cost = compose(config, book, pass_="train")
    parameters, flops, peak = run_model(config, cost, book)
    assert cost.parameters.evaluate(cost.values) == parameters
    assert value_of(cost, "matmul_flops") == flops
    assert cost.peak_moment == "head, backward"
    assert abs(value_of(cost, "peak_bytes") - peak) <= TOLERANCE
    assert sum(one.evaluate(cost.values) for one in cost.memory.values()) == value_of(cost, "peak_bytes")


@pytest.mark.parametrize("changes", [{"n": 6, "b": 1}, {"n": 6, "b": 1, "V": 2000}, {"V": 10, "L": 6}], ids=str)
def test_elsewhere_it_is_at_most_that(changes: dict[str, int], book: Book) -> None:
    """A part's own gradients count until its backward pass ends, though each goes as soon as it is added."""
    config = make_config({**GPT, **changes, "training": {"accumulate": 2}}, book.names)
    cost = compose(config, book, pass_="train")
    _, flops, peak = run_model(config, cost, book)
    assert value_of(cost, "matmul_flops") == flops
    own = max(part.training("gradient_bytes").evaluate(cost.values) for part in cost.parts)
    assert peak - TOLERANCE <= value_of(cost, "peak_bytes") <= peak + own
