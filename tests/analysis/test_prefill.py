"""Prompts in chunks: torch's own counter over chunks really run against a cache, enumerated masks, the allocator."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from analysis.test_batches import BOOK, D_H, DEVICE, GPT, H, attend, model, technique
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.allocator import peak_of_forward
from oracles.torch_flops import counted

from tfcost.analysis.prefill import chunks, in_chunks
from tfcost.errors import UserError
from tfcost.techniques import standard

PROMPTS = [(40, 16), (48, 16), (7, 100), (33, 1)]
WIDE = {"h": 2, "h_kv": 1, "d_h": 64, "d": 128}


def allowed_pairs(n: int) -> int:
    """Pairs of a causal mask, counted one by one."""
    return int(torch.ones(n, n).tril().sum())


@given(st.integers(1, 500), st.integers(1, 600))
def test_chunks_cover_every_token_once_and_see_all_before(n: int, length: int) -> None:
    seen = 0
    for chunk in chunks(n, length):
        assert 1 <= chunk.queries <= length
        seen += chunk.queries
        assert chunk.keys == seen
    assert seen == n


@pytest.mark.parametrize(("n", "length"), PROMPTS)
def test_a_core_in_chunks_is_what_its_calls_multiply(n: int, length: int) -> None:
    found = in_chunks(technique("standard", "core", causal="true"), n, length, BOOK, DEVICE).amounts
    made = counted(lambda: [attend(end - start, end) for start, end in _spans(n, length)])
    assert found["matmul_flops"].exact == made
    assert found["matmul_flops"].plain == counted(lambda: attend(n, n))
    assert found["algorithmic_flops"].exact == 4 * H * D_H * allowed_pairs(n) == found["algorithmic_flops"].plain


def _spans(n: int, length: int) -> list[tuple[int, int]]:
    return [(start, min(start + length, n)) for start in range(0, n, length)]


@pytest.mark.parametrize(("n", "length"), PROMPTS)
def test_the_peak_of_a_core_is_that_of_its_largest_call(n: int, length: int) -> None:
    """The allocator's own account of every call; it rounds every block up to 64 bytes."""
    amount = in_chunks(technique("standard", "core", causal="true"), n, length, BOOK, DEVICE).amounts["peak_bytes"]
    peaks = [
        peak_of_forward(standard.attention, lambda span=span: _arguments(span[1] - span[0], span[1]))
        for span in _spans(n, length)
    ]
    assert amount.exact == pytest.approx(max(peaks), rel=0, abs=64 * 8)


def _arguments(queries: int, keys: int) -> dict[str, Any]:
    q, k, v = (torch.randn(1, H, rows, D_H, dtype=torch.bfloat16) for rows in (queries, keys, keys))
    return {"q": q, "k": k, "v": v, "causal": True}


class Cached:
    """A decoder of one head width, written down for this test: chunks go through it one after another."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.h, self.d, self.layers = fields["h"], fields["d"], fields["L"]
        d, self.vocabulary = self.d, fields["V"]
        self.square, self.up, self.down = torch.randn(d, d), torch.randn(4 * d, d), torch.randn(d, 4 * d)
        self.table = torch.randn(self.vocabulary, d)
        self.keys = [torch.zeros(1, self.h, 0, d // self.h) for _ in range(self.layers)]
        self.values = list(self.keys)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for layer in range(self.layers):
            q, k, v = (self._heads(F.linear(x, self.square)) for _ in range(3))
            self.keys[layer] = torch.cat([self.keys[layer], k], 2)
            self.values[layer] = torch.cat([self.values[layer], v], 2)
            scores = q @ self.keys[layer].transpose(-2, -1)
            out = (scores.softmax(-1) @ self.values[layer]).transpose(1, 2).reshape(x.shape)
            x = x + F.linear(out, self.square)
            x = x + F.linear(F.gelu(F.linear(x, self.up)), self.down)
        return F.linear(x, self.table)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(1, -1, self.h, self.d // self.h).transpose(1, 2)


@pytest.mark.parametrize(("n", "length"), [(40, 16), (48, 12), (9, 64)])
def test_a_model_in_chunks_is_what_a_decoder_with_a_cache_multiplies(n: int, length: int) -> None:
    found = in_chunks(model(GPT, "forward"), n, length, BOOK, DEVICE).amounts["matmul_flops"]
    decoder = Cached(GPT)
    made = counted(lambda: [decoder(torch.randn(1, end - start, GPT["d"])) for start, end in _spans(n, length)])
    assert found.exact == made
    assert found.plain == counted(lambda: Cached(GPT)(torch.randn(1, n, GPT["d"])))


@pytest.mark.parametrize(("n", "length"), [(96, 32), (100, 32)])
def test_a_layer_in_chunks_writes_every_key_and_value_once(n: int, length: int) -> None:
    """Its bytes are those of its calls' projections and attention, and the cache: k and v read and written."""
    sizes = {"h": 2, "h_kv": 1, "d_h": 64, "d": 128}
    found = in_chunks(technique("standard", "layer", sizes=sizes, causal="true"), n, length, BOOK, DEVICE)
    layer, core = (technique("standard", scope, sizes=sizes, causal="true") for scope in ("layer", "core"))
    total = 2 * 2 * n * 64 * 2  # k and v of every token, read and written
    for start, end in _spans(n, length):
        of_chunk = layer({"n": end - start}), core({"n": end - start}), core({"n": end - start, "m": end})
        whole, inner, real = (one.quantities["issued_bytes"].evaluate(one.values) for one in of_chunk)
        total += whole - inner + real
    assert found.amounts["issued_bytes"].exact == total
    assert found.amounts["peak_bytes"].exact is None
    assert found.notes == ("no formula for its peak memory in chunks",)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([128, 256, 1024]), st.integers(1, 9), st.sampled_from(["core", "layer", "block"]))
def test_closed_forms_are_the_sums(length: int, count: int, scope: str) -> None:
    n = length * count
    for name in ("flash", "standard"):
        found = in_chunks(technique(name, scope, sizes=WIDE, causal="true"), n, length, BOOK, DEVICE)
        for quantity in ("matmul_flops", "scalar_flops", "issued_bytes"):
            one = found.amounts[quantity]
            assert one.formula is not None
            if f", n >= {2 * length}" not in one.under or count >= 2:
                assert one.formula.evaluate({**WIDE, "b": 1, "n": n, "m": n}) == one.exact


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 8))
def test_flash_in_chunks_of_whole_tiles_visits_the_same_tiles(n: int, tiles: int) -> None:
    found = in_chunks(technique("flash", "core", sizes=WIDE, causal="true"), n, 128 * tiles, BOOK, DEVICE).amounts
    for quantity in ("matmul_flops", "issued_bytes", "algorithmic_flops"):
        assert found[quantity].exact == found[quantity].plain
    assert found["algorithmic_flops"].exact == 4 * 2 * 64 * allowed_pairs(n)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 400))
def test_one_chunk_is_all_at_once(n: int) -> None:
    for name in ("flash", "standard"):
        found = in_chunks(technique(name, "core", sizes=WIDE, causal="true"), n, n + 5, BOOK, DEVICE).amounts
        assert all(one.exact == one.plain for one in found.values())


@pytest.mark.parametrize(
    ("name", "scope", "options", "reason"),
    [
        ("flash", "core", {}, "flash: chunks need causal attention"),
        ("sliding-window", "core", {}, "sliding-window: its formulas do not apply: m = n does not hold"),
        ("linear", "core", {"causal": "true"}, "linear: no formula for attention of 1024 queries to 2048 keys"),
    ],
)
def test_what_has_no_formula_says_so(name: str, scope: str, options: dict[str, str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        in_chunks(technique(name, scope, sizes=WIDE, **options), 4096, 1024, BOOK, DEVICE)


def test_too_many_chunks_are_refused() -> None:
    with pytest.raises(UserError, match=r"1000000 tokens in chunks of 1 are 1000000 calls; at most 4096"):
        chunks(10**6, 1)
