"""Top-k attention: the choice of blocks, values and gradients against a masked reference, and what it costs against
torch's FLOP counter and Triton's interpreter.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from book import technique_launchers
from kernels.interpreter_run import assert_close, run_driver
from oracles.evaluation import evaluate
from oracles.interpreter import count_launches
from techniques.launches import check_launches
from techniques.masked import masked_attention, with_gradients
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tfcost.derive.costs import derive_variant
from tfcost.derive.pairs import count_pairs
from tfcost.derive.sizes import size_symbol
from tfcost.derive.technique import Variant
from tfcost.techniques import top_k
from tfcost_kernels.gather.reference import gather_reference

BLOCK = top_k.BLOCK
# n, m, heads, key/value heads, blocks per list.
CASES = [(1, 1, 1, 1, 1), (63, 63, 1, 1, 1), (65, 65, 2, 1, 2), (200, 200, 4, 2, 2), (128, 300, 2, 2, 3),
         (130, 70, 3, 1, 1), (70, 330, 2, 1, 2)]  # fmt: skip
KERNEL_CASES = [(1, 1, 1, 1, 1), (65, 65, 2, 1, 2), (63, 150, 1, 1, 2)]


def inputs(n: int, m: int, h: int, h_kv: int, d_h: int = 16, b: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n * m + h)
    shapes = ((b, h, n, d_h), (b, h_kv, m, d_h), (b, h_kv, m, d_h))
    q, k, v = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return q, k, v


def visible(index: Tensor, n: int, m: int, causal: bool) -> Tensor:
    """[b, h_kv, n, m]: which keys each query sees, from the lists of its block."""
    seen = torch.zeros(*index.shape[:2], n, m, dtype=torch.bool)
    for b, head, tile, entry in product(*map(range, index.shape)):
        first = int(index[b, head, tile, entry]) * BLOCK
        seen[b, head, tile * BLOCK : (tile + 1) * BLOCK, first : first + BLOCK] = True
    late = torch.arange(m) > torch.arange(n).unsqueeze(1) + (m - n)
    return seen & ~late if causal else seen


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case: tuple[int, ...], causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    n, m, h, h_kv, blocks = case
    q, k, v = inputs(n, m, h, h_kv)
    monkeypatch.setattr(top_k, "gather_attention", gather_reference)
    got = with_gradients(lambda *leaves: top_k.attention(*leaves, blocks, causal), q, k, v)
    seen = visible(top_k.select_blocks(q, k, blocks, causal), n, m, causal)
    for mine, true in zip(got, with_gradients(lambda *leaves: masked_attention(*leaves, seen), q, k, v), strict=True):
        torch.testing.assert_close(mine, true)


def test_kernels_give_the_same() -> None:
    for case in run_driver(Path(__file__).with_name("dynamic_cases.py"))["top_k"]:
        assert_close(case)


@pytest.mark.parametrize("case", CASES)
def test_the_best_blocks_are_chosen(case: tuple[int, ...]) -> None:
    """Block by block: the mean query of all heads of a group, and the mean key, of rows that exist."""
    n, m, h, h_kv, blocks = case
    q, k, _ = inputs(n, m, h, h_kv)
    index = top_k.select_blocks(q, k, blocks, causal=False)
    assert index.shape == (2, h_kv, -(-n // BLOCK), blocks)
    for b, head, tile in product(*map(range, index.shape[:3])):
        group = q[b, head * (h // h_kv) : (head + 1) * (h // h_kv), tile * BLOCK : (tile + 1) * BLOCK]
        mean = group.reshape(-1, 16).mean(0)
        scores = [float(mean @ k[b, head, first : first + BLOCK].mean(0)) for first in range(0, m, BLOCK)]
        best = sorted(range(len(scores)), key=lambda block: -scores[block])[:blocks]
        assert sorted(index[b, head, tile].tolist()) == sorted(best)


@pytest.mark.parametrize("case", CASES)
def test_causal_lists(case: tuple[int, ...]) -> None:
    """A query block's own block is listed, later ones only where the earlier ones are too few; no query is alone."""
    n, m, h, h_kv, blocks = case
    q, k, _ = inputs(n, m, h, h_kv)
    index = top_k.select_blocks(q, k, blocks, causal=True)
    for b, head, tile in product(*map(range, index.shape[:3])):
        listed = set(index[b, head, tile].tolist())
        assert len(listed) == blocks
        first, last = tile * BLOCK + m - n, tile * BLOCK + BLOCK - 1 + m - n
        earlier = max(0, last // BLOCK + 1)
        assert first < 0 or first // BLOCK in listed
        assert len({block for block in listed if block * BLOCK <= last}) == min(blocks, earlier, -(-m // BLOCK))
    alone = ~visible(index, n, m, causal=True).any(-1)
    assert not alone[:, :, max(0, n - m) :].any()


@pytest.mark.parametrize("n", [1, 63, 64, 65, 130, 192, 300])
def test_pairs_are_those_of_the_mask_that_stands_for_them(n: int) -> None:
    q, k, _ = inputs(n, n, 1, 1)
    for blocks in range(1, -(-n // BLOCK) + 1):
        for causal, mask in ((True, top_k.as_many_causal), (False, top_k.as_many)):
            if not causal and n % BLOCK:
                continue  # the last block counts as a whole one
            seen = visible(top_k.select_blocks(q, k, blocks, causal), n, n, causal)
            n_, lists = size_symbol("n"), size_symbol("blocks")
            counted = count_pairs(lambda *pair, mask=mask, lists=lists: mask(*pair, lists), n_, n_)
            assert evaluate(counted, {"n": n, "blocks": blocks}) == seen.sum().item() / 2


@pytest.mark.parametrize(("blocks", "keys"), [(0, 100), (-1, 100), (3, 100), (2, 64)])
def test_no_such_blocks(blocks: int, keys: int) -> None:
    q, k, v = inputs(100, keys, 1, 1)
    with pytest.raises(ValueError, match=f"{blocks} blocks of 64 keys cannot be chosen from {keys} keys"):
        top_k.attention(q, k, v, blocks)


VARIANTS = [v for v in top_k.TECHNIQUE.variants() if v.scope == "core" and v.subject.fixed["d_h"] == 64]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: f"causal={variant.options['causal']}")
def test_steps(variant: Variant) -> None:
    """Selection and attention apart; the choice has no gradient."""
    forward, backward = derive_variant(top_k.TECHNIQUE, variant)
    assert [step.name for step in forward.steps] == ["selection", "attention kernel"]
    assert [step.name for step in backward.steps] == ["attention kernel"]
    values = {"b": 2, "h": 4, "h_kv": 2, "n": 256, "m": 256 if variant.options["causal"] else 384, "k": 128}
    q, k, _ = inputs(256, values["m"], 4, 2, d_h=64)
    with FlopCounterMode(display=False) as counter:
        top_k.select_blocks(q, k, 2, bool(variant.options["causal"]))
    assert forward.steps[0].amounts["matmul_flops"].evaluate(values) == counter.get_total_flops() > 0


# Batch, key/value heads and query heads of each.
HEADS = ((1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1))


def points(causal: bool) -> list[dict[str, int]]:
    """Sizes for the counts, in blocks."""
    lengths = [(t, t) for t in (1, 2, 3)] if causal else [(1, 1), (1, 2), (2, 1), (2, 3)]
    found = [(t, e, blocks) for t, e in lengths for blocks in range(1, min(e, 2) + 1)]
    names = ("b", "h_kv", "r", "t", "e", "blocks")
    return [dict(zip(names, (*heads, *sizes), strict=True)) for sizes in found for heads in HEADS]


@pytest.fixture(scope="module")
def counted() -> Iterator[dict[str, int]]:
    """What the interpreter counts in all calls, in one process: per variant and point, inference and training."""
    calls = [("run", call(variant, point, mode)) for variant in VARIANTS
             for point in points(bool(variant.options["causal"])) for mode in ("forward", "both")]  # fmt: skip
    return iter(count_launches(Path(technique_launchers.__file__), calls))


def test_kernels_do_what_the_interpreter_counts(counted: Iterator[dict[str, int]]) -> None:
    for variant in VARIANTS:
        at = points(bool(variant.options["causal"]))
        assert len(at) >= 20
        for point in at:
            heads, rows = point["b"] * point["h_kv"] * point["r"], point["t"] * BLOCK
            check_launches(variant.subject, point, next(counted), next(counted), heads * rows)


def call(variant: Variant, point: dict[str, int], mode: str) -> dict[str, Any]:
    b, h_kv, r, t, e, blocks = point.values()
    keys = [b, h_kv, e * BLOCK, 64]
    shapes = {"q": [b, h_kv * r, t * BLOCK, 64], "k": keys, "v": keys}
    arguments = {"blocks": blocks, **variant.options}
    return {"target": "tfcost.techniques.top_k:attention", "shapes": shapes, "arguments": arguments, "mode": mode}
