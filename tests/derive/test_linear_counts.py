"""The kernels of linear attention as tfcost derives them, all sizes symbols, against what Triton's interpreter counts:
equal to the byte in both passes, full and causal, with grouped heads and several segments.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
import torch
from derive import linear_launchers
from derive.linear_launchers import WIDTH, attend
from oracles.evaluation import evaluate
from oracles.interpreter import count_launches

from tfcost.derive.subject import Subject, Tensor
from tfcost.derive.trace import trace_backward, trace_forward

NAMES = ("b", "h_kv", "r", "n", "m")
# (rows, step, segment); each takes every third of the sizes, which are in the order of NAMES.
TILES = ((32, 16, 64), (16, 32, 32), (16, 16, 16))
LENGTHS = (1, 15, 16, 17, 31, 32, 33, 34, 47, 48, 63, 64, 65, 70, 130)
SAME = [(1, 1, 1, n, n) for n in LENGTHS]
GROUPED = [(1, 2, 1, 33, 33), (2, 1, 1, 20, 20), (1, 1, 2, 17, 17), (1, 1, 3, 35, 35), (2, 1, 2, 18, 18)]
OTHER_KEYS = [(1, 1, 1, 17, 47), (1, 1, 1, 47, 17), (1, 2, 1, 1, 65), (1, 1, 2, 65, 1), (2, 1, 2, 20, 33)]
AMOUNTS = {"dot": "matmul_flops", "load": "read_bytes", "store": "write_bytes"}


@cache
def derived(pass_: str, causal: bool, tile: tuple[int, int, int]) -> dict[str, sp.Expr]:
    """What all launches of the pass do, in the symbols NAMES; m = n if causal."""
    keys = Tensor(f"b,h_kv,{'n' if causal else 'm'},{WIDTH}")

    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return attend(q, k, v, causal, tile)

    names = NAMES[:-1] if causal else NAMES
    subject = Subject(attention, {"q": Tensor(f"b,h_kv*r,n,{WIDTH}"), "k": keys, "v": keys}, names)
    found = (trace_backward if pass_ == "backward" else trace_forward)(subject, torch.float16)
    assert not found.notes  # nothing is only bounded
    records = [record for record in found.records if record.launch]
    return {kind: sp.Add(*(getattr(record, amount) for record in records)) for kind, amount in AMOUNTS.items()}


def cases(causal: bool) -> list[tuple[tuple[int, int, int], dict[str, int]]]:
    sizes = SAME + (GROUPED if causal else OTHER_KEYS)
    return [(TILES[place % 3], dict(zip(NAMES, values, strict=True))) for place, values in enumerate(sizes)]


@pytest.fixture(scope="module")
def counted() -> dict[bool, list[list[dict[str, int]]]]:
    """What the interpreter counts for every case, per mode, in one process."""
    modes = ("forward", "training", "both")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("run", {"causal": causal, "tile": tile, "mode": mode, **sizes})
        for causal in (False, True)
        for tile, sizes in cases(causal)
        for mode in modes
    ]
    counts = iter(count_launches(Path(linear_launchers.__file__), calls))
    return {causal: [[next(counts) for _ in modes] for _ in cases(causal)] for causal in (False, True)}


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("pass_", ["forward", "backward"])
def test_equals_interpreter(pass_: str, causal: bool, counted: dict[bool, list[list[dict[str, int]]]]) -> None:
    assert len(cases(causal)) >= 20
    for (tile, sizes), (forward, training, both) in zip(cases(causal), counted[causal], strict=True):
        backward = {kind: both.get(kind, 0) - training.get(kind, 0) for kind in AMOUNTS}
        truth = backward if pass_ == "backward" else {kind: forward.get(kind, 0) for kind in AMOUNTS}
        cost = derived(pass_, causal, tile)
        assert {kind: evaluate(amount, sizes) for kind, amount in cost.items()} == truth, (tile, sizes)
