"""Cluster attention: buckets, values and gradients against a masked reference, and what it costs against torch's FLOP
counter, the allocator and Triton's interpreter.
"""

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
import torch
from book import technique_launchers
from kernels.interpreter_run import assert_close, run_driver
from oracles.allocator import peak_of_backward, peak_of_forward
from oracles.evaluation import evaluate
from oracles.interpreter import count_launches
from techniques.launches import check_launches
from techniques.masked import masked_attention, with_gradients
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tfcost.derive.costs import derive_variant
from tfcost.derive.harness import run_forward, run_held
from tfcost.derive.pairs import count_pairs
from tfcost.derive.sizes import ELEMENT, size_symbol
from tfcost.derive.technique import Variant
from tfcost.derive.trace import trace_backward, trace_forward
from tfcost.formula import Formula
from tfcost.techniques import cluster
from tfcost.techniques.buckets import buckets
from tfcost_kernels.gather.reference import gather_reference

BLOCK = cluster.BLOCK
# n, heads, key/value heads, directions, and blocks or capacity.
BALANCED = [(1, 1, 1, 1, 1), (63, 2, 1, 2, 1), (65, 1, 1, 2, 1), (200, 4, 2, 3, 1), (330, 2, 2, 5, 2)]
UNBALANCED = [(1, 1, 1, 1, 1), (63, 2, 1, 3, 40), (65, 4, 2, 7, 65), (130, 2, 2, 4, 20), (90, 3, 1, 2, 90)]
KERNEL_CASES = [(64, 1, 1, 1, 1), (150, 2, 1, 3, 1), (140, 1, 1, 2, 2)]
WAYS = list(product((False, True), (False, True)))


def inputs(n: int, h: int, h_kv: int, directions: int, d_h: int = 16, b: int = 2) -> list[Tensor]:
    """Q, K, V and the directions, float64."""
    generator = torch.Generator().manual_seed(n + h + directions)
    shapes = ((b, h, n, d_h), (b, h_kv, n, d_h), (b, h_kv, n, d_h), (h_kv, d_h, directions))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def bucket_of(key: Tensor, directions: Tensor, lsh: bool) -> int:
    """One token, one direction at a time."""
    scores = [float(key @ directions[:, t]) for t in range(directions.shape[1])]
    scores += [-score for score in scores] if lsh else []
    return max(range(len(scores)), key=scores.__getitem__)


def seen(k: Tensor, directions: Tensor, lsh: bool, causal: bool, same: Callable[[list[int]], list[int]]) -> Tensor:
    """[b, h_kv, n, n]: who sees whom, if `same` turns the tokens' buckets into groups of them (-1: sees none)."""
    b, h_kv = k.shape[:2]
    groups = torch.tensor([
        [same([bucket_of(key, directions[head], lsh) for key in k[batch, head]]) for head in range(h_kv)]
        for batch in range(b)
    ])  # fmt: skip
    mine, others = groups.unsqueeze(-1), groups.unsqueeze(-2)
    visible = (mine == others) & (mine != -1)
    return visible.tril() if causal else visible


def clusters(length: int) -> Callable[[list[int]], list[int]]:
    """Tokens sorted by bucket and cut."""

    def cut(found: list[int]) -> list[int]:
        order = sorted(range(len(found)), key=lambda token: (found[token], token))
        return [order.index(token) // length for token in range(len(found))]

    return cut


def filled(capacity: int) -> Callable[[list[int]], list[int]]:
    """Buckets of the first `capacity` tokens that belong there."""
    return lambda found: [
        bucket if found[:token].count(bucket) < capacity else -1 for token, bucket in enumerate(found)
    ]


def check(attend: Callable[..., Tensor], case: tuple[int, ...], lsh: bool, causal: bool, same: Any) -> None:
    *leaves, directions = inputs(*case[:4])
    visible = seen(leaves[1], directions, lsh, causal, same)
    got = with_gradients(lambda *x: attend(*x, directions, case[4], lsh, causal), *leaves)
    for mine, true in zip(got, with_gradients(lambda *x: masked_attention(*x, visible), *leaves), strict=True):
        torch.testing.assert_close(mine, true)


@pytest.mark.parametrize(("lsh", "causal"), WAYS)
@pytest.mark.parametrize("case", BALANCED)
def test_balanced(case: tuple[int, ...], lsh: bool, causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "gather_attention", gather_reference)
    check(cluster.attention, case, lsh, causal, clusters(case[4] * BLOCK))


@pytest.mark.parametrize(("lsh", "causal"), WAYS)
@pytest.mark.parametrize("case", UNBALANCED)
def test_unbalanced(case: tuple[int, ...], lsh: bool, causal: bool) -> None:
    """Capacities that hold every bucket, and ones that do not; empty buckets."""
    check(cluster.unbalanced_attention, case, lsh, causal, filled(case[4]))


def test_kernels_give_the_same() -> None:
    for case in run_driver(Path(__file__).with_name("dynamic_cases.py"))["cluster"]:
        assert_close(case)


@pytest.mark.parametrize("lsh", [False, True])
def test_buckets(lsh: bool) -> None:
    _, k, _, directions = inputs(40, 2, 2, 6)
    found = buckets(k, directions, lsh)
    for b, head, token in product(*map(range, found.shape)):
        assert found[b, head, token] == bucket_of(k[b, head, token], directions[head], lsh)


@pytest.mark.parametrize(("n", "blocks"), [(100, 3), (63, 2), (100, 0), (100, -1)])
def test_no_such_clusters(n: int, blocks: int) -> None:
    with pytest.raises(ValueError, match=f"clusters of {blocks * BLOCK} tokens cannot be made of {n}"):
        cluster.attention(*inputs(n, 1, 1, 2), blocks)


@pytest.mark.parametrize("capacity", [0, 41])
def test_no_such_buckets(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"clusters of {capacity} tokens cannot be made of 40"):
        cluster.unbalanced_attention(*inputs(40, 1, 1, 2), capacity)


def test_other_keys() -> None:
    q, k, v, directions = inputs(40, 1, 1, 2)
    with pytest.raises(ValueError, match="30 queries need 30 keys, not 40"):
        cluster.unbalanced_attention(q[:, :, :30], k, v, directions, 10)


@pytest.mark.parametrize("causal", [False, True])
def test_pairs_of_the_masks(causal: bool) -> None:
    """Of clusters whatever the buckets; of buckets, that of the fullest."""
    n = size_symbol("n")
    sorted_mask, full = (
        (cluster.own_cluster_causal, cluster.full_buckets_causal) if causal
        else (cluster.own_cluster, cluster.full_buckets)
    )  # fmt: skip
    for case in BALANCED:
        _, k, _, directions = inputs(*case[:4])
        visible = seen(k, directions, False, causal, clusters(case[4] * BLOCK))
        pairs = count_pairs(lambda i, j, n, m: sorted_mask(i, j, n, m, size_symbol("blocks")), n, n)
        assert (visible.sum(dim=(2, 3)) == int(Formula.of(pairs).evaluate({"n": case[0], "blocks": case[4]}))).all()
    pairs = count_pairs(lambda i, j, n, m: full(i, j, n, m, size_symbol("capacity")), n, n)
    for sizes in product(range(6), repeat=4):
        if any(sizes):
            real = sum(size * (size + 1) // 2 if causal else size**2 for size in sizes)
            assert Formula.of(pairs).evaluate({"n": sum(sizes), "capacity": max(sizes)}) >= real
            if sorted(sizes)[-3:] == [max(sizes)] * 3:  # all full, and the rest in one
                assert Formula.of(pairs).evaluate({"n": sum(sizes), "capacity": max(sizes)}) == real


VARIANTS = [variant for variant in cluster.TECHNIQUE.variants() if variant.scope == "core"]
UNBALANCED_VARIANTS = [variant for variant in VARIANTS if not variant.options["balanced"]]
KERNEL_VARIANTS = [v for v in VARIANTS if v.options["balanced"] and v.subject.fixed["d_h"] == 64]


def name_of(variant: Variant) -> str:
    return " ".join(map(str, variant.options.values()))


@pytest.mark.parametrize("variant", KERNEL_VARIANTS, ids=name_of)
def test_selection_apart_from_attention(variant: Variant) -> None:
    forward, backward = derive_variant(cluster.TECHNIQUE, variant)
    steps = {step.name: step.amounts for step in forward.steps}
    assert list(steps) == ["selection", "sorting", "attention kernel"]
    assert [step.name for step in backward.steps] == ["sorting", "attention kernel", "gradient accumulation"]
    n, c, lsh = 256, 64, variant.options["assignment"] == "lsh"
    _, k, _, directions = inputs(n, 4, 2, n // c // (2 if lsh else 1), d_h=64)
    with FlopCounterMode(display=False) as counter:
        buckets(k, directions, lsh)
    values = {"b": 2, "h": 4, "h_kv": 2, "n": n, "c": c}
    assert steps["selection"]["matmul_flops"].evaluate(values) == counter.get_total_flops() > 0


# Allocations of the profiler's own marker.
TOLERANCE = 64
POINTS = (
    {"b": 2, "h_kv": 3, "r": 2, "n": 65, "d_h": 16, "t": 4, "capacity": 20},
    {"b": 1, "h_kv": 2, "r": 1, "n": 128, "d_h": 8, "t": 8, "capacity": 33},
    {"b": 2, "h_kv": 1, "r": 3, "n": 77, "d_h": 32, "t": 5, "capacity": 77},
)


@pytest.mark.parametrize("variant", UNBALANCED_VARIANTS, ids=name_of)
def test_unbalanced_flops_and_memory_equal_what_torch_did(variant: Variant) -> None:
    forward, backward = (trace(variant.subject, torch.float32, "cpu") for trace in (trace_forward, trace_backward))

    def values(candidates: Iterable[sp.Expr], sizes: dict[str, int]) -> int:
        return max(int(evaluate(one.xreplace({ELEMENT: sp.Integer(4)}), sizes)) for one in candidates)

    for sizes in POINTS:
        function = variant.subject.function
        for passed, training in ((forward, False), (backward, True)):
            with FlopCounterMode(display=False) as counter:
                if training:
                    run_held(function, made(variant, sizes, True), lambda _, seen=counter: seen.flop_counts.clear())
                else:
                    run_forward(function, made(variant, sizes, False))
            flops = values([sp.Add(*(record.matmul_flops for record in passed.records))], sizes)
            assert flops == counter.get_total_flops() > 0
            measure = peak_of_backward if training else peak_of_forward
            peak = measure(function, lambda sizes=sizes, training=training: made(variant, sizes, training))
            assert abs(values(passed.peak, sizes) - peak) <= TOLERANCE, (sizes, training)


def made(variant: Variant, sizes: dict[str, int], training: bool) -> dict[str, Any]:
    """Real arguments of the unbalanced function."""
    b, h_kv, r, n, d_h, t, capacity = sizes.values()
    tensors = [x.float().requires_grad_(training) for x in inputs(n, h_kv * r, h_kv, t, d_h, b)]
    lsh, causal = variant.options["assignment"] == "lsh", variant.options["causal"]
    leaves = dict(zip(("q", "k", "v", "directions"), tensors, strict=True))
    return {**leaves, "capacity": capacity, "lsh": lsh, "causal": causal}


# Batch, key/value heads and query heads of each.
HEADS = ((1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1))


def points() -> list[dict[str, int]]:
    """Sizes for the counts; where the length of a cluster divides n, all listed keys exist."""
    lengths = [(64, 1), (128, 1), (128, 2), (100, 1), (130, 2)]
    names = ("b", "h_kv", "r", "n", "blocks", "t")
    return [dict(zip(names, (*heads, n, blocks, 2), strict=True)) for n, blocks in lengths for heads in HEADS]


def test_kernels_do_what_the_interpreter_counts() -> None:
    assert len(points()) >= 20
    variants = [variant for variant in KERNEL_VARIANTS if variant.options["assignment"] == "k-means"]
    at = [(variant, point) for variant in variants for point in points()]
    calls = [("run", call(variant, point, mode)) for variant, point in at for mode in ("forward", "both")]
    counts = iter(count_launches(Path(technique_launchers.__file__), calls))
    for variant, point in at:
        rows = point["b"] * point["h_kv"] * point["r"] * point["n"]
        whole = point["n"] % (point["blocks"] * BLOCK) == 0
        check_launches(variant.subject, point, next(counts), next(counts), rows, whole=whole)


def call(variant: Variant, point: dict[str, int], mode: str) -> dict[str, Any]:
    b, h_kv, r, n, blocks, t = point.values()
    keys = [b, h_kv, n, 64]
    shapes = {"q": [b, h_kv * r, n, 64], "k": keys, "v": keys, "directions": [h_kv, 64, t]}
    arguments = {"blocks": blocks, "causal": variant.options["causal"]}
    return {"target": "tfcost.techniques.cluster:attention", "shapes": shapes, "arguments": arguments, "mode": mode}
