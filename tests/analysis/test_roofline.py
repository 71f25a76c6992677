"""The time of whole models: steps add up, each one is a roofline worked out by hand, MFU is PaLM's formula."""

from pathlib import Path
from typing import Any

import pytest

from tfcost.analysis.breakdown import predict_model
from tfcost.analysis.devices import load_device
from tfcost.analysis.model import ModelCost, compose
from tfcost.analysis.roofline import ModelTime, model_time, time_or_reason
from tfcost.book import load_book
from tfcost.config.load import load_config

BOOK = load_book()
H100 = load_device("h100-sxm")
PEAK, BANDWIDTH, LAUNCH = 989.4e12, 3.35e12, 3.8e-6
CONFIG = Path(__file__).parents[2] / "configs" / "gpt2.yaml"
N, D, L, V = 1024, 768, 12, 50257


def gpt2(pass_: str = "forward", **changes: Any) -> ModelCost:
    return compose(load_config(CONFIG, changes, BOOK.names), BOOK, pass_=pass_)


def timed(pass_: str = "forward", **changes: Any) -> ModelTime:
    return model_time(gpt2(pass_, **changes), H100)


@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_steps_add_up_to_the_model(pass_: str) -> None:
    time = timed(pass_)
    assert sum(step.seconds for step in time.steps) == pytest.approx(time.prediction.seconds)
    assert sum(time.prediction.shares.values()) == pytest.approx(1)
    assert all(sum(step.spent.values()) == pytest.approx(step.seconds) for step in time.steps)


def test_a_product_is_the_longer_of_its_flops_and_its_bytes() -> None:
    """The first layer of the network: [n, d] by [d, 4d] and a bias, one kernel in every layer, 2 bytes a number."""
    (step,) = [one for one in timed().steps if (one.part, one.name) == ("ffn", "first layer")]
    flops, bytes_ = 2 * N * D * 4 * D, 2 * (N * D + 4 * D * D + 4 * D + N * 4 * D)
    assert step.count == L
    assert step.seconds == pytest.approx(L * (max(flops / PEAK, bytes_ / BANDWIDTH) + LAUNCH), rel=0.01)
    # A kernel of this size takes about as long to start as to run.
    assert step.spent["launch"] == pytest.approx(L * LAUNCH)


def test_what_bounds_a_step_changes_with_its_size() -> None:
    def bound(**sizes: Any) -> str:
        (step,) = [one for one in timed(**sizes).steps if (one.part, one.name) == ("head", "head")]
        return step.bound

    assert bound(n=1, b=1) == "memory"
    assert bound(n=1, b=1, V=100) == "launch"
    assert bound(n=1024, b=8) == "compute"


@pytest.mark.parametrize(("pass_", "times"), [("forward", 1), ("train", 3)])
def test_model_flops_are_those_of_the_palm_paper(pass_: str, times: int) -> None:
    """2N + 4Lnd a token forward and three times that with the backward pass, N the weights of matrix products; what a
    recomputation or a padded tile adds is not of the model.
    """
    weights = L * 12 * D * D + V * D
    expected = times * N * (2 * weights + 4 * L * N * D)
    time = timed(pass_, causal=False)
    assert time.model_flops == pytest.approx(expected, rel=1e-12)
    assert time.mfu == pytest.approx(expected / (PEAK * time.prediction.seconds))
    assert time.hfu == pytest.approx(time.mfu)
    assert 0 < time.mfu < 1
    assert 0 < time.bandwidth_use < 1


def test_a_mask_halves_what_is_asked_for_and_not_what_is_issued() -> None:
    full, masked = timed(causal=False), timed(causal=True)
    scores = 4 * L * N * N * D
    assert full.model_flops - masked.model_flops == pytest.approx(scores / 2, rel=2 / N)
    assert full.matmul_flops == pytest.approx(masked.matmul_flops)
    assert masked.mfu < masked.hfu


def test_the_optimizer_is_a_part_of_the_step() -> None:
    """AdamW moves seven numbers a weight through memory, and more where torch's operations are single kernels."""
    plain = timed("train")
    with_optimizer = timed("train", training={"optimizer": "adamw"})
    parameters = 124_439_808
    added = with_optimizer.prediction.seconds - plain.prediction.seconds
    assert added > 7 * 2 * parameters / BANDWIDTH
    assert any(step.part == "optimizer" and step.bound == "memory" for step in with_optimizer.steps)
    assert predict_model(gpt2("train", training={"optimizer": "adamw"}), H100) == with_optimizer.prediction


def test_why_there_is_no_time() -> None:
    told = time_or_reason(gpt2(), load_device("apple-m3-max"))
    assert told == "Apple M3 Max, GPU of 40 cores, 128 GB has no peak for bfloat16, only for float16, float32"
    found = time_or_reason(gpt2(dtype="float16"), load_device("apple-m3-max"))
    assert isinstance(found, ModelTime)
    assert found.prediction.lacks == ("apple-m3-max has no figure for launches: they count as no time",)
