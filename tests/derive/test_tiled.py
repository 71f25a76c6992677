"""The flash kernel's traffic and on-chip memory as formulas of its tile: against Triton's interpreter, against tensors
counted by hand, and up to the class that the FlashAttention paper proves.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from derive import flash_launchers
from oracles.interpreter import count_launches

import tfcost.derive.tiled as tiled
from tfcost.analysis.tiling import tile_bound
from tfcost.cost import TILED_MEMORY, TILED_TRAFFIC, Cost
from tfcost.derive.costs import derive_variant
from tfcost.derive.errors import DerivationError
from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.techniques.flash import TECHNIQUE, attention_by_tile
from tfcost_kernels.flash.tiles import tiles_for

# (B_M, B_N, d_h, n), none of them derived from, some beyond them.
POINTS = [
    (16, 16, 16, 80), (32, 16, 16, 64), (32, 32, 32, 128), (64, 64, 16, 192), (128, 16, 64, 128), (128, 64, 128, 256),
    (32, 16, 256, 96), (256, 128, 16, 256), (64, 32, 128, 64),
]  # fmt: skip


@cache
def derived(causal: bool) -> Cost:
    """The core's forward cost at head width 64, as the book has it."""
    variants = [
        variant
        for variant in TECHNIQUE.variants()
        if variant.scope == "core" and variant.options["causal"] == causal and variant.subject.fixed["d_h"] == 64
    ]
    (cost,) = [cost for cost in derive_variant(TECHNIQUE, variants[0]) if cost.pass_ == "forward"]
    return cost


@pytest.fixture(scope="module")
def counted() -> dict[bool, list[dict[str, int]]]:
    calls = [
        ("forward", {"causal": causal, "tile": [rows, keys], "save_lse": False, "layout": "bhnd", "b": 1, "h_kv": 1,
                     "r": 1, "n": n, "m": n, "d_h": width})
        for causal in (False, True) for rows, keys, width, n in POINTS
    ]  # fmt: skip
    counts = iter(count_launches(Path(flash_launchers.__file__), calls))
    return {causal: [next(counts) for _ in POINTS] for causal in (False, True)}


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_traffic_equals_interpreter(causal: bool, counted: dict[bool, list[dict[str, int]]]) -> None:
    traffic = derived(causal).composition[TILED_TRAFFIC]
    for (rows, keys, width, n), truth in zip(POINTS, counted[causal], strict=True):
        values = {"B_M": rows, "B_N": keys, "d_h": width, "n": n}
        assert traffic.evaluate(values) == truth["load"] + truth["store"], values


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_traffic_and_memory_are_those_of_the_table_s_tile(causal: bool) -> None:
    """At the tile and head width of the technique itself, both agree with the cost's own quantities."""
    cost = derived(causal)
    rows, keys, *_ = tiles_for(64, 2).forward
    tile = {"B_M": rows, "B_N": keys, "d_h": 64}
    assert cost.composition[TILED_MEMORY].evaluate(tile) == cost.quantities["sram_bytes"].exact.evaluate({})
    for n in (rows, 8 * rows, 11 * rows):
        whole = cost.quantities["issued_bytes"].exact.evaluate({"b": 1, "h": 1, "h_kv": 1, "n": n, "m": n})
        assert cost.composition[TILED_TRAFFIC].evaluate({**tile, "n": n}) == whole


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_on_chip_memory_is_that_of_the_fullest_point(causal: bool) -> None:
    """With Q and the accumulator: a tile of K, the scores, and each row's maximum and sum; or, when new sums are
    made, the weights and each row's new maximum, old sum, new sum and decay.
    """
    memory = derived(causal).composition[TILED_MEMORY]
    for rows, keys, width, _ in POINTS:
        always = 2 * rows * width + 4 * rows * width
        scores, row = 4 * rows * keys, 4 * rows
        first_product, sums = always + 2 * keys * width + scores + 2 * row, always + scores + 4 * row
        assert memory.evaluate({"B_M": rows, "B_N": keys, "d_h": width}) == max(first_product, sums)


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_the_largest_tile_gives_the_class_of_the_paper(causal: bool) -> None:
    bound = tile_bound(derived(causal))
    assert bound is not None
    assert (bound.theta.text, bound.tile.text) == ("n**2*d_h**2/M", "M/d_h")


def subject_of(function: Callable[..., torch.Tensor]) -> Subject:
    given = Tensor("1,1,n,d_h")
    arguments = {"q": given, "k": given, "v": given, "rows": Size("B_M"), "keys": Size("B_N")}
    return Subject(function, arguments, sizes=("n", *tiled.NAMES))


def test_what_is_not_linear_in_the_tile_is_refused() -> None:
    def wider(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, rows: int, keys: int) -> torch.Tensor:
        return attention_by_tile(q, k, v, False, max(rows, 2 * keys), keys)

    with pytest.raises(DerivationError, match="not linear in each of B_M, B_N, d_h"):
        tiled.tiled_costs(subject_of(wider), torch.float16)


def test_bytes_that_no_alignment_makes_a_polynomial_are_refused() -> None:
    def third(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, rows: int, keys: int) -> torch.Tensor:
        return attention_by_tile(q[:, :, : q.shape[2] // 3], k, v, False, rows, keys)

    with pytest.raises(DerivationError, match="no polynomial in n"):
        tiled.tiled_costs(subject_of(third), torch.float16)
