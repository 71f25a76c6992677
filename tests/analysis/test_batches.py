"""Batches of unequal sequences against torch's own counter over the single calls, really made, and the allocator."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.allocator import peak_of_forward
from oracles.torch_flops import counted
from torch.utils.flop_counter import FlopCounterMode

from tfcost.analysis.batches import decoding, sequences
from tfcost.analysis.devices import load_device
from tfcost.analysis.meetings import TIME
from tfcost.analysis.model import compose
from tfcost.analysis.query import Query, choose_options, fill_sizes, offered_options
from tfcost.analysis.whole import At, Whole, whole_model, whole_technique
from tfcost.book import load_book
from tfcost.config.load import load_config, make_config
from tfcost.measure.model import build_model
from tfcost.techniques import standard
from tfcost.techniques.layers import attention_layer

BOOK, DEVICE = load_book(), load_device("h100-sxm")
H, D_H, D = 2, 8, 16
SMALL = {"h": H, "d_h": D_H, "d": D}
GPT = {"name": "gpt", "d": 32, "h": 4, "L": 3, "V": 100, "positions": "learned", "max_positions": 64,
       "causal": True, "bias": True, "norm": "pre", "ffn": "gelu", "ffn_bias": True, "head": "tied"}  # fmt: skip


def technique(name: str, scope: str, pass_: str = "forward", sizes: Mapping[str, int] = SMALL, **options: str) -> At:
    record = BOOK.record(name)
    chosen = choose_options(offered_options(record, scope), options, name)

    return lambda changed: whole_technique(
        Query(name, scope, pass_, "bfloat16", chosen, fill_sizes({**sizes, **changed}, record.defaults)), BOOK
    )


def model(fields: Mapping[str, Any], pass_: str) -> At:
    return lambda sizes: whole_model(compose(make_config({**fields, **sizes}), BOOK, pass_=pass_))


def attend(queries: int, keys: int) -> torch.Tensor:
    k = torch.randn(1, H, keys, D_H)
    return standard.attention(torch.randn(1, H, queries, D_H), k, k)


def layer(n: int, b: int = 1) -> torch.Tensor:
    weight = torch.randn(H * D_H, D)
    return attention_layer(torch.randn(b, n, D), weight, weight, weight, weight.T, H, H, D_H, standard.attention, False)


LENGTHS = [(5, 5, 40), (1, 2, 3), (17,), (64, 1)]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_cores_add_up_over_sequences(lengths: tuple[int, ...]) -> None:
    found = sequences(technique("standard", "core"), lengths, DEVICE).amounts
    assert found["matmul_flops"].exact == counted(lambda: [attend(n, n) for n in lengths])
    assert found["algorithmic_flops"].exact == found["matmul_flops"].exact


@pytest.mark.parametrize("lengths", LENGTHS)
def test_layers_add_up_over_sequences_and_padding_is_one_batch(lengths: tuple[int, ...]) -> None:
    found = sequences(technique("standard", "layer"), lengths, DEVICE).amounts["matmul_flops"]
    assert found.exact == counted(lambda: [layer(n) for n in lengths])
    assert found.plain == counted(lambda: layer(max(lengths), len(lengths)))


@pytest.mark.parametrize("lengths", LENGTHS)
def test_weights_are_read_once_for_the_whole_row(lengths: tuple[int, ...]) -> None:
    """Bytes of a flash layer: every projection once over all tokens, attention sequence by sequence."""
    wide = {"h": 2, "d_h": 64, "d": 128}
    at = technique("flash", "layer", sizes=wide)
    found = sequences(at, lengths, DEVICE).amounts["issued_bytes"].exact
    row, core = sum(lengths), technique("flash", "core", sizes=wide)
    tokens = 2 * (6 * row * 128 + 3 * row * 128 + row * 128 + row * 128)  # x in and q, k, v out thrice; o in, y out
    weights = 2 * 4 * 128 * 128
    tokens -= 2 * 3 * row * 128  # x is read by three products, not by six
    each = [core({"b": 1, "n": n}) for n in lengths]
    attention = sum(one.quantities["issued_bytes"].evaluate(one.values) for one in each)
    assert found == tokens + weights + attention


@pytest.mark.parametrize("pass_", ["forward", "train"])
@pytest.mark.parametrize("lengths", [(5, 40, 40), (1, 9)])
def test_models_add_up_over_sequences(pass_: str, lengths: tuple[int, ...]) -> None:
    """The same model, built for real, is run on every sequence by itself and on the padded batch."""
    found = sequences(model(GPT, pass_), lengths, DEVICE).amounts["matmul_flops"]
    assert found.exact == sum(_run_model(pass_, n=n, b=1) for n in lengths)
    assert found.plain == _run_model(pass_, n=max(lengths), b=len(lengths))


def _run_model(pass_: str, **sizes: int) -> int:
    config = make_config({**GPT, **sizes})
    built = build_model(config, compose(config, BOOK, pass_=pass_), torch.float32, "cpu")
    with FlopCounterMode(display=False) as counter:
        result = built()
        if pass_ == "train":
            result.backward()  # type: ignore[no-untyped-call]
    return counter.get_total_flops()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_sequences_of_one_length_waste_nothing(lengths: list[int]) -> None:
    """And others waste something; never is the exact amount above the padded one."""
    for name, scope in (("standard", "layer"), ("standard", "block")):
        found = sequences(technique(name, scope), lengths, DEVICE).amounts["matmul_flops"]
        assert (found.exact == found.plain) == (len(set(lengths)) == 1)
        assert found.exact is not None
        assert found.plain is not None
        assert found.exact <= found.plain


def test_memory_of_a_kernel_is_that_of_all_tokens() -> None:
    found = sequences(technique("flash", "core", sizes={"h": 2, "d_h": 64, "d": 128}), (100, 300), DEVICE)
    assert found.amounts["peak_bytes"].exact == 4 * 400 * 128 * 2  # q, k, v and o of 400 tokens
    assert found.amounts["peak_bytes"].plain == 4 * 600 * 128 * 2


def attend_ragged(q: list[torch.Tensor], k: list[torch.Tensor], v: list[torch.Tensor]) -> list[torch.Tensor]:
    """Standard attention of sequences of several lengths, every step for all of them before the next one."""
    scores = [one @ keys.transpose(-2, -1) for one, keys in zip(q, k, strict=True)]
    scores = [one * D_H**-0.5 for one in scores]
    weights = [torch.softmax(one, dim=-1) for one in scores]
    return [one @ values for one, values in zip(weights, v, strict=True)]


@pytest.mark.parametrize("lengths", [(100, 300), (64, 64, 200), (7, 30, 31)])
def test_memory_of_a_ragged_batch_is_the_allocators(lengths: tuple[int, ...]) -> None:
    def arguments() -> dict[str, Any]:
        return {name: [torch.randn(1, H, n, D_H, dtype=torch.bfloat16) for n in lengths] for name in "qkv"}

    found = sequences(technique("standard", "core"), lengths, DEVICE).amounts["peak_bytes"]
    assert found.exact == pytest.approx(peak_of_forward(attend_ragged, arguments), rel=0, abs=64 * 6 * len(lengths))


def decode_step(cached: Sequence[int]) -> None:
    """One token each: projections as one batch, attention of each to its own cache."""
    weight = torch.randn(H * D_H, D)
    x = torch.randn(len(cached), 1, D)
    for _ in range(3):
        F.linear(x, weight)
    for m in cached:
        attend(1, m)
    F.linear(torch.randn(len(cached), 1, H * D_H), weight.T)


@pytest.mark.parametrize("cached", [(1, 5, 200), (64,), (128, 128)])
def test_decoding_asks_for_every_cache_by_itself(cached: tuple[int, ...]) -> None:
    """What the mathematics asks for: the kernel itself pads to tiles."""
    sizes = {"h": H, "d_h": 64, "d": D}
    found = decoding(technique("kv-cache", "core", "decode", sizes), cached, DEVICE).amounts["algorithmic_flops"]
    assert found.exact == counted(lambda: [attend(1, m) for m in cached]) * 64 // D_H
    assert found.plain == counted(lambda: [attend(1, max(cached)) for _ in cached]) * 64 // D_H


@pytest.mark.parametrize("cached", [(1, 5, 200), (300,), (128, 128)])
def test_a_longer_cache_adds_its_keys_and_values_alone(cached: tuple[int, ...]) -> None:
    """A token more in one cache: its key and value are read, and are in memory; weights and the rest are unmoved."""
    at = technique("kv-cache", "layer", "decode", {"h": H, "h_kv": 1, "d_h": 64, "d": D})
    before, after = (decoding(at, one, DEVICE).amounts for one in (cached, (*cached[:-1], cached[-1] + 1)))
    for quantity in ("issued_bytes", "peak_bytes"):
        assert after[quantity].exact - before[quantity].exact == 2 * 64 * 2  # type: ignore[operator]


def test_decoding_reads_weights_once() -> None:
    """Twice the sequences are less than twice the bytes: by the four weights."""
    at = technique("kv-cache", "layer", "decode", {"h": H, "d_h": 64, "d": D})
    one, two = (decoding(at, [100] * count, DEVICE).amounts["issued_bytes"].exact for count in (1, 2))
    assert 2 * one - two == 4 * 2 * D * H * 64  # type: ignore[operator]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8))
def test_the_order_of_sequences_does_not_matter_and_equal_caches_waste_nothing(cached: list[int]) -> None:
    at = technique("kv-cache", "core", "decode", {"h": 4, "d_h": 64})
    found, turned = (decoding(at, one, DEVICE).amounts for one in (cached, cached[::-1]))
    assert {name: one.exact for name, one in found.items() if name != TIME} == {
        name: one.exact for name, one in turned.items() if name != TIME
    }
    if len(set(cached)) == 1:
        assert all(one.exact == one.plain for name, one in found.items() if name != TIME)


def test_time_of_a_batch_lies_between_its_longest_sequence_and_padding() -> None:
    at = technique("flash", "layer", sizes={"h": 8, "d_h": 64, "d": 512})
    found = sequences(at, (256, 512, 8192), DEVICE).amounts[TIME]
    alone = sequences(at, (8192,), DEVICE).amounts[TIME]
    assert found.exact is not None
    assert found.plain is not None
    assert alone.exact is not None
    assert alone.exact < found.exact < found.plain


LLAMA = {"name": "llama", "d": 32, "h": 4, "h_kv": 2, "L": 3, "f": 48, "V": 100, "causal": True, "rope": True,
         "norm_kind": "rms", "norm": "pre", "ffn": "swiglu", "head": "untied"}  # fmt: skip


@pytest.mark.parametrize("fields", [GPT, LLAMA], ids=["gpt", "llama"])
@pytest.mark.parametrize("cached", [(3, 20, 60), (7, 7)])
def test_models_decode_with_caches_of_their_own(fields: dict[str, Any], cached: tuple[int, ...]) -> None:
    """The same model, built for real, decodes one token of every sequence by itself, and of the padded batch."""
    found = decoding(model({**fields, "n": 64}, "decode"), cached, DEVICE).amounts["matmul_flops"]
    assert found.exact == sum(_decoded(fields, m=m, b=1) for m in cached)
    assert found.plain == _decoded(fields, m=max(cached), b=len(cached))


def _decoded(fields: dict[str, Any], **sizes: int) -> int:
    config = make_config({**fields, "n": 64, **sizes})
    return counted(build_model(config, compose(config, BOOK, pass_="decode"), torch.float32, "cpu"))


def test_caches_of_a_model_are_as_long_as_their_sequences() -> None:
    """What padding wastes is keys and values: 2 * h_kv * d_h numbers of 2 bytes a token and layer; a kernel keeps no
    scores.
    """
    kernel = {**LLAMA, "d": 256, "attention": "flash", "n": 64}
    found = decoding(model(kernel, "decode"), (10, 64, 30), DEVICE).amounts["peak_bytes"]
    assert found.plain - found.exact == (3 * 64 - 10 - 64 - 30) * 2 * 2 * 64 * 3 * 2  # type: ignore[operator]


CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", ["gemma-3-1b", "t5-small", "longformer-base", "falcon-7b", "deepseek-v2-lite"])
def test_products_of_real_models_add_up_over_sequences(name: str) -> None:
    """Cut into what takes all tokens and what takes sequences, and put together, nothing is lost or counted twice."""

    def at(sizes: Mapping[str, int]) -> Whole:
        config = load_config(CONFIGS / f"{name}.yaml", {size: str(value) for size, value in sizes.items()})
        return whole_model(compose(config, BOOK))

    lengths = (64, 192, 64)
    single = {n: at({"b": 1, "n": n}) for n in set(lengths)}
    each = sum(single[n].quantities["matmul_flops"].evaluate(single[n].values) for n in lengths)
    assert sequences(at, lengths, DEVICE).amounts["matmul_flops"].exact == each
