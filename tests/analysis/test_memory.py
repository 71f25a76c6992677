"""What a model's memory is for: categories that add up to the peak; state counted by hand; caches against tokens and
pages counted one by one.
"""

from typing import Any

import pytest

from tfcost.analysis.breakdown import break_down
from tfcost.analysis.model import ModelCost, compose
from tfcost.book import load_book
from tfcost.config.load import make_config
from tfcost.errors import UserError

BOOK = load_book()
GPT = {"name": "gpt", "n": 96, "b": 2, "d": 64, "h": 4, "L": 3, "V": 500, "norm": "pre", "bias": True, "ffn": "gelu",
       "ffn_bias": True, "causal": True, "positions": "learned", "max_positions": 128, "head": "tied"}  # fmt: skip
LLAMA = {"name": "llama", "n": 100, "b": 3, "d": 512, "h": 8, "L": 4, "V": 500, "norm": "pre", "norm_kind": "rms",
         "rope": True, "ffn": "swiglu", "f": 1024, "causal": True, "head": "untied"}  # fmt: skip
LATENT = {"q_rank": None, "kv_rank": 128, "rope_width": 32, "nope_width": 64, "v_width": 64}


def composed(pass_: str, **fields: Any) -> ModelCost:
    return compose(make_config(fields, BOOK.names), BOOK, pass_=pass_)


def values(cost: ModelCost) -> dict[str, int]:
    return {name: int(one.evaluate(cost.values)) for name, one in cost.memory.items()}


def peak(cost: ModelCost) -> int:
    return int(cost.quantities["peak_bytes"].exact.evaluate(cost.values))


TRAINING: list[dict[str, Any]] = [
    {},
    {"optimizer": "sgd"},
    {"optimizer": "adamw"},
    {"optimizer": "adamw", "precision": "mixed"},
    {"optimizer": "sgd", "precision": "mixed", "accumulate": 2},
    {"optimizer": "adamw-8bit", "accumulate": 4},
    {"optimizer": "adamw-8bit", "precision": "mixed"},
    {"optimizer": "adamw", "recompute": "full"},
    {"optimizer": "adamw", "recompute": "selective", "accumulate": 2},
]


@pytest.mark.parametrize("sizes", [{}, {"n": 4, "b": 1}, {"V": 50_000}, {"L": 40}], ids=str)
@pytest.mark.parametrize("training", TRAINING, ids=str)
@pytest.mark.parametrize("model", [GPT, LLAMA], ids=lambda one: one["name"])
def test_categories_add_up_to_the_peak(model: dict[str, Any], training: dict[str, Any], sizes: dict[str, int]) -> None:
    cost = composed("train", **{**model, **sizes, "training": training})
    found = values(cost)
    assert sum(found.values()) == peak(cost)
    assert all(value >= 0 for value in found.values())
    assert found["parameters"] == 2 * int(cost.parameters.evaluate(cost.values))


@pytest.mark.parametrize("pass_", ["forward", "prefill", "decode"])
@pytest.mark.parametrize("model", [GPT, LLAMA], ids=lambda one: one["name"])
def test_without_gradients_too(model: dict[str, Any], pass_: str) -> None:
    cost = composed(pass_, **model)
    assert sum(values(cost).values()) == peak(cost)
    assert not {"gradients", "state", "activations"} & cost.memory.keys()


def test_state_by_the_tensors_that_are_kept() -> None:
    """Bytes of a weight: two 16-bit moments; or master copy and moments of 4; or two bytes and 8 for every 256."""
    parameters = int(composed("train", **LLAMA).parameters.evaluate(composed("train", **LLAMA).values))
    blocks = -(-parameters // 256)
    expected = {
        ("sgd", "same"): 0,
        ("sgd", "mixed"): 4 * parameters,
        ("adamw", "same"): 4 * parameters,
        ("adamw", "mixed"): 12 * parameters,
        ("adamw-8bit", "same"): 2 * parameters + 8 * blocks,
        ("adamw-8bit", "mixed"): 6 * parameters + 8 * blocks,
    }
    for (optimizer, precision), state in expected.items():
        cost = composed("train", **LLAMA, training={"optimizer": optimizer, "precision": precision})
        assert values(cost).get("state", 0) == state


def test_accumulated_gradients_are_there_all_the_time() -> None:
    """Then the highest moment, at the head, has all gradients and those that the head makes."""
    wide = {**LLAMA, "n": 4000, "V": 50_000}
    once, often = (composed("train", **wide, training={"accumulate": count}) for count in (1, 3))
    assert once.peak_moment == often.peak_moment == "head, backward"
    assert "gradients" not in once.memory
    assert values(often)["gradients"] == values(often)["parameters"]
    assert peak(often) - peak(once) == values(often)["parameters"]
    flops = [cost.quantities["matmul_flops"].exact.evaluate(cost.values) for cost in (once, often)]
    assert flops[1] == 3 * flops[0]


def test_mixed_precision_of_a_model_in_single_precision() -> None:
    with pytest.raises(UserError, match="mixed precision is for 16-bit dtypes"):
        composed("train", **LLAMA, dtype="float32", training={"optimizer": "adamw", "precision": "mixed"})


def kept_tokens(tokens: int, window: int | None) -> tuple[int, int]:
    """Of this many tokens, those that a cache keeps, and those that its pages of 16 have room for, one by one."""
    kept = [token for token in range(tokens) if window is None or token >= tokens - 1 - window]
    return len(kept), 16 * len({token // 16 for token in kept})


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 99, 100, 101, 112, 115, 1000])
@pytest.mark.parametrize("pass_", ["decode", "prefill"])
@pytest.mark.parametrize("kind", ["full", "grouped", "window", "alternating", "latent"])
def test_caches_as_tokens_are_counted(kind: str, pass_: str, tokens: int) -> None:
    """Per token and layer: keys and values of h_kv heads of 64 columns, or a latent and a turned key, 2 bytes each."""
    changes: dict[str, Any] = {
        "full": {},
        "grouped": {"h_kv": 2},
        "window": {"attention": "sliding-window", "w": 99},
        "alternating": {"layers": [{"count": 2, "pattern": [{"attention": "standard", "w": 99}, {}]}]},
        "latent": {"mla": LATENT, "rope": False},
    }[kind]
    length = {"m": tokens} if pass_ == "decode" else {"n": tokens}
    cost = composed(pass_, **{**LLAMA, **changes, **length})
    row = {"grouped": 2 * 2 * 64, "latent": 128 + 32}.get(kind, 2 * 8 * 64)
    windows = {"window": [99] * 4, "alternating": [99, None] * 2}.get(kind, [None] * 4)
    counted = [kept_tokens(tokens, window) for window in windows]
    exact, paged = (3 * 2 * row * sum(each) for each in zip(*counted, strict=True))
    assert cost.cache_bytes.evaluate(cost.values) == exact
    assert cost.paged_cache_bytes.evaluate(cost.values) == paged
    if pass_ == "decode":
        assert values(cost)["cache"] == exact


def test_caches_by_kind_of_layer() -> None:
    cost = composed(
        "decode", **LLAMA, m=1000, layers=[{"count": 2, "pattern": [{"attention": "standard", "w": 99}, {}]}]
    )
    views = break_down(cost).caches
    assert [int(one.count) for one in views] == [2, 2]
    assert sum(one.all for one in views) == cost.cache_bytes.evaluate(cost.values)
    assert sum(one.all_paged for one in views) == cost.paged_cache_bytes.evaluate(cost.values)
