"""Arguments that the techniques' own functions refuse, each with one clear sentence; and what is right at the edge."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from tfcost.techniques import (  # noqa: E402
    cluster,
    dilated,
    flash,
    kv_cache,
    linear,
    longformer,
    moe,
    recompute,
    sliding_window,
    standard,
    strided,
    top_k,
)

DIRECTIONS = {"directions": (2, 16, 4)}
# Every function of q, k, v, with what else it needs.
ATTENTION: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "standard": (standard.attention, {}),
    "flash": (flash.attention, {}),
    "linear": (linear.attention, {}),
    "linear causal": (linear.causal_attention, {"c": 8}),
    "linear fused": (linear.fused_causal_attention, {}),
    "sliding-window": (sliding_window.attention, {"w": 3}),
    "blocks": (sliding_window.block_attention, {"c": 3}),
    "dilated": (dilated.attention, {"w": 3, "s": 2}),
    "strided": (strided.attention, {"s": 2}),
    "longformer": (longformer.attention, {"w": 3, "g": 2}),
    "top-k": (top_k.attention, {"blocks": 1}),
    "cluster": (cluster.attention, {"blocks": 1, **DIRECTIONS}),
    "cluster unbalanced": (cluster.unbalanced_attention, {"capacity": 5, **DIRECTIONS}),
}


def call(name: str, q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...], **more: Any) -> Any:
    """The function on tensors without contents; shapes among its other arguments become tensors as well."""
    function, others = ATTENTION[name]
    arguments = {key: torch.empty(one) if isinstance(one, tuple) else one for key, one in {**others, **more}.items()}
    return function(torch.empty(q), torch.empty(k), torch.empty(v), **arguments)


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize(
    ("q", "k", "v", "message"),
    [
        ((2, 2, 40, 16), (1, 2, 40, 16), (1, 2, 40, 16), "batch is 2, but k has 1"),
        ((1, 3, 40, 16), (1, 2, 40, 16), (1, 2, 40, 16), "3 query heads are not a multiple of 2"),
        ((1, 2, 40, 16), (1, 2, 40, 16), (1, 2, 39, 16), "v dimension 2 is 39, but k has 40"),
        ((1, 2, 40, 16), (1, 2, 40, 32), (1, 2, 40, 32), "head width is 16, but k has 32"),
        ((2, 40, 16), (2, 40, 16), (2, 40, 16), "must be .batch, heads, rows, head width., got 3, 3, 3 dims"),
    ],
)
def test_shapes_that_do_not_fit_together(
    name: str, q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...], message: str
) -> None:
    """Torch would stretch a batch of 1 without a word."""
    with FakeTensorMode(), pytest.raises(ValueError, match=message):
        call(name, q, k, v)


@pytest.mark.parametrize(
    ("name", "n", "more", "message"),
    [
        ("sliding-window", 40, {"w": -1}, "w must be at least 0, got -1"),
        ("blocks", 40, {"c": 0}, "c must be at least 1, got 0"),
        ("dilated", 40, {"s": 0}, "must be at least 1, got 0"),
        ("strided", 40, {"s": 0}, "s must be at least 1, got 0"),
        ("longformer", 40, {"g": -1}, "g must be at least 0, got -1"),
        ("top-k", 100, {"blocks": 3}, "3 blocks of 64 keys cannot be chosen from 100 keys"),
        ("top-k", 100, {"blocks": 0}, "0 blocks of 64 keys cannot be chosen"),
        ("cluster", 100, {"blocks": 3}, "clusters of 192 tokens cannot be made of 100"),
        ("cluster unbalanced", 10, {"capacity": 11}, "clusters of 11 tokens cannot be made of 10"),
        ("linear causal", 40, {"c": 0}, "a chunk has at least 1 query, got c = 0"),
        ("linear causal", 40, {"feature_map": "elu"}, "feature map 'elu' is not one of"),
        ("linear", 40, {"feature_map": "elu"}, "feature map 'elu' is not one of"),
        ("linear fused", 40, {"c": 48}, "chunk c = 48 is not one of"),
        ("flash", 0, {}, "every size must be at least 1"),
        ("sliding-window", 0, {}, "every size must be at least 1"),
        ("top-k", 0, {}, "1 blocks of 64 keys cannot be chosen from 0 keys"),
        ("cluster", 0, {}, "clusters of 64 tokens cannot be made of 0"),
    ],
)
def test_numbers_out_of_range(name: str, n: int, more: dict[str, Any], message: str) -> None:
    with FakeTensorMode(), pytest.raises(ValueError, match=message):
        call(name, *[(1, 2, n, 16)] * 3, **more)


@pytest.mark.parametrize("name", ["standard", "linear", "linear causal"])
def test_no_tokens_give_no_output(name: str) -> None:
    assert call(name, *[(1, 2, 0, 16)] * 3).shape == (1, 2, 0, 16)


def test_a_chunk_longer_than_the_sequence_is_the_whole() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, 10, 4, dtype=torch.float64) for _ in "qkv")
    weights = (q.exp() @ k.exp().transpose(-2, -1)).tril()
    whole = weights @ v / (weights.sum(-1, keepdim=True) + linear.EPSILON)
    torch.testing.assert_close(linear.causal_attention(q, k, v, c=64, feature_map="exp"), whole)


EXPERTS = {"w_router": (4, 8), "w_gate": (4, 6, 8), "w_up": (4, 6, 8), "w_down": (4, 8, 6)}


@pytest.mark.parametrize("layer", [moe.dropless, partial(moe.with_capacity, c=5)], ids=["dropless", "capacity"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k must be 1 to the number of experts 4, got 0"),
        ({"k": 5}, "k must be 1 to the number of experts 4, got 5"),
        ({"w_up": (4, 7, 8)}, "w_up dimension 1 is 7, expected 6"),
        ({"x": (2, 5, 9)}, "width is 8, expected 9|w_router's width is 8, expected 9"),
        ({"x": (2, 0, 8)}, "every size must be at least 1"),
        ({"w_router": (0, 8), "w_gate": (0, 6, 8), "w_up": (0, 6, 8), "w_down": (0, 8, 6)}, "every size must be at le"),
    ],
)
def test_experts_that_do_not_fit(layer: Callable[..., Any], change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"x": (2, 5, 8), **EXPERTS, "k": 2} | change
    with FakeTensorMode(), pytest.raises(ValueError, match=message):
        layer(**{name: torch.empty(one) if isinstance(one, tuple) else one for name, one in given.items()})


def test_a_capacity_of_nothing() -> None:
    with FakeTensorMode(), pytest.raises(ValueError, match="at least 1 token, got c = 0"):
        moe.with_capacity(torch.empty(2, 5, 8), **{name: torch.empty(one) for name, one in EXPERTS.items()}, k=2, c=0)


def test_a_decode_step_beyond_its_cache() -> None:
    with FakeTensorMode(), pytest.raises(ValueError, match="length 6 exceeds the caches' capacity 5"):
        kv_cache.attention(torch.empty(1, 2, 1, 16), *[torch.empty(1, 2, 5, 16)] * 2, m=6)


def test_segments_and_policies_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="a segment has at least 1 layer, got s = 0"):
        recompute.stack(torch.empty(1, 2, 4), [{}, {}], 0)
    with pytest.raises(ValueError, match="policy 'half' is not one of"):
        recompute.layer(torch.empty(1, 2, 4), "half", standard.attention)
