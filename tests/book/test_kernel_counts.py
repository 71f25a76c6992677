"""The book's kernels against Triton's interpreter: at every point the same products and the same bytes, for the very
functions, tiles and head width that the book holds, forward and backward.
"""

from collections.abc import Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from book import technique_launchers
from oracles.interpreter import count_launches

from tfcost.book import load_book
from tfcost.cost import Cost

AMOUNTS = {"matmul_flops": ("dot",), "read_bytes": ("load",), "write_bytes": ("store",)}
D_H = 64
LENGTHS = (1, 17, 63, 64, 65, 100, 129)
# Around the chunk of linear attention's kernels, which is 256, and two of them.
CHUNK_LENGTHS = (*LENGTHS, 1, 33, 64, 65, 100, 127, 17, 63, 255, 256, 257, 300, 513)


class Kernels(NamedTuple):
    """A variant in the book, the function behind it, and its own sizes: those of the function, those of the book."""

    technique: str
    variant: Mapping[str, Any]
    target: str
    arguments: Mapping[str, Any]
    sizes: tuple[tuple[Mapping[str, int], Mapping[str, int]], ...]
    lengths: tuple[int, ...] = LENGTHS


def same(**sizes: tuple[int, ...]) -> tuple[tuple[Mapping[str, int], Mapping[str, int]], ...]:
    """Sizes that function and book call the same."""
    points = [dict(zip(sizes, values, strict=True)) for values in zip(*sizes.values(), strict=True)]
    return tuple((point, point) for point in points)


def positions(*counts: int, causal: bool, **others: int) -> tuple[tuple[Mapping[str, int], Mapping[str, int]], ...]:
    """`k` positions per query in the book, a window `w` in the function."""
    return tuple(({"w": k - 1 if causal else (k - 1) // 2, **others}, {"k": k, **others}) for k in counts)


def kernels() -> list[Kernels]:
    found = []
    for causal in (True, False):
        options = {"causal": causal}
        window = "tfcost.techniques.sliding_window:attention"
        moving, blocks = ({**options, "overlapping": overlapping} for overlapping in (True, False))
        found += [
            Kernels("sliding-window", moving, window, options, same(w=(0, 1, 64, 10**9))),
            Kernels("sliding-window", blocks, "tfcost.techniques.sliding_window:block_attention", options,
                    same(c=(20, 64, 90))),
            Kernels("local", options, window, options, positions(3, 129, 301, causal=causal)),
            Kernels("dilated", options, "tfcost.techniques.dilated:attention", options,
                    (*positions(5, 65, causal=causal, s=3), *positions(33, causal=causal, s=2))),
            Kernels("strided", options, "tfcost.techniques.strided:attention", options, same(s=(2, 5, 7))),
            Kernels("longformer", options, "tfcost.techniques.longformer:attention", options,
                    same(w=(1, 64, 50, 0), g=(1, 5, 80, 0))),
        ]  # fmt: skip
        linear = "fused_causal_attention" if causal else "fused_attention"
        mapped = {"causal": causal, "feature_map": "exp", "fused": True}
        found.append(Kernels("linear", mapped, f"tfcost.techniques.linear:{linear}", {"feature_map": "exp"},
                             (({}, {}),), CHUNK_LENGTHS))  # fmt: skip
    return found


CASES = kernels()
# The patterns that go through most of the others' code; the rest takes minutes.
ALWAYS = {("local", True), ("strided", False), ("longformer", True)}


def points(case: Kernels) -> list[tuple[dict[str, Any], dict[str, int]]]:
    """Arguments of `technique_launchers.run` and sizes of the book, at least 20, odd lengths and grouped heads among
    them.
    """
    found = []
    for place, (n, (own, booked)) in enumerate(product(case.lengths, case.sizes)):
        h_kv, group = (1, 1, 1, 1, 2)[place % 5], (1, 1, 2, 1)[place % 4]
        if case.technique == "dilated":  # its formulas suppose that s divides n
            n = -(-n // own["s"]) * own["s"]
        n = max(n, own.get("s", 1), own.get("c", 1))  # and that s <= n, c <= n
        keys = [1, h_kv, n, D_H]
        shapes = {"q": [1, h_kv * group, n, D_H], "k": keys, "v": keys}
        call = {"target": case.target, "shapes": shapes, "arguments": {**case.arguments, **own}}
        found.append((call, {"b": 1, "h": h_kv * group, "h_kv": h_kv, "n": n, "m": n, "d_h": D_H, **booked}))
    return found


@cache
def costs(technique: str) -> tuple[Cost, ...]:
    return tuple(load_book().record(technique).costs)


def booked(case: Kernels, pass_: str, sizes: dict[str, int]) -> dict[str, int]:
    """What the book says the kernels of the pass do."""
    (cost,) = (
        cost for cost in costs(case.technique)
        if (cost.scope, cost.pass_, cost.variant) == ("core", pass_, case.variant) and cost.fixed["d_h"] == D_H
    )  # fmt: skip
    launched = [operation for operation in cost.operations if operation.launch]
    return {
        name: int(sum(operation.amounts[name].evaluate(sizes) for operation in launched if name in operation.amounts))
        for name in AMOUNTS
    }


def marked(case: Kernels) -> Any:
    """The case, slow unless it is one of `ALWAYS`."""
    often = (case.technique, case.variant["causal"]) in ALWAYS and case.variant.get("overlapping", True)
    return pytest.param(case, marks=() if often else pytest.mark.slow, id=f"{case.technique} {dict(case.variant)}")


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_equals_interpreter(case: Kernels) -> None:
    at = points(case)
    assert len(at) >= 20
    calls = [("run", {**call, "mode": mode}) for call, _ in at for mode in ("forward", "training", "both")]
    counts = iter(count_launches(Path(technique_launchers.__file__), calls))
    for call, sizes in at:
        forward, training, both = next(counts), next(counts), next(counts)
        backward = {kind: both.get(kind, 0) - training.get(kind, 0) for kind in both}
        for pass_, counted in (("forward", forward), ("backward", backward)):
            truth = {name: sum(counted.get(kind, 0) for kind in kinds) for name, kinds in AMOUNTS.items()}
            assert booked(case, pass_, sizes) == truth, (pass_, call)
