"""The flash kernels as tfcost derives them, all sizes symbols, against what Triton's interpreter counts: equal to the
byte in every pass, full and causal, with grouped heads, other key lengths and strided inputs.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
import torch
from derive import flash_launchers
from derive.flash_launchers import heads_first, stored_shape
from oracles.evaluation import evaluate
from oracles.interpreter import count_launches

from tfcost.derive.subject import Subject, Tensor
from tfcost.derive.trace import PassTrace, trace_backward, trace_forward
from tfcost_kernels.flash import flash_attention
from tfcost_kernels.flash.attention import launch_forward
from tfcost_kernels.flash.tiles import Tile, Tiles

WIDTH = 16
NAMES = ("b", "h_kv", "r", "n", "m")
SETTINGS = (((32, 16), "bhnd"), ((16, 32), "bnhd"), ((32, 32), "gaps"))
# Sizes in the order of NAMES; each setting takes every third of them.
CASES = [
    *((1, 1, 1, n, m) for n, m in ((1, 1), (1, 33), (33, 1), (16, 16), (17, 47), (32, 31), (31, 32), (40, 50))),
    *((1, 1, 1, n, n) for n in (15, 32, 33, 64, 65)),
    *((1, 1, 1, n, m) for n, m in ((65, 17), (17, 65), (70, 3), (3, 70))),
    (1, 2, 1, 33, 18), (2, 1, 1, 18, 33), (1, 1, 3, 20, 37), (2, 1, 2, 35, 5),
]  # fmt: skip
PASSES = {
    "forward": "forward_kernel", "forward for training": "forward_kernel", "delta": "delta_kernel",
    "dk_dv": "dk_dv_kernel", "dq": "dq_kernel",
}  # fmt: skip
AMOUNTS = {"dot": "matmul_flops", "load": "read_bytes", "store": "write_bytes"}


@cache
def trace(name: str, causal: bool, tile: tuple[int, int], layout: str) -> PassTrace:
    """The pass of the real launcher on symbolic sizes; backward kernels through autograd."""
    queries, keys = (
        Tensor(",".join(map(str, stored_shape(layout, "b", heads, rows, WIDTH))))
        for heads, rows in (("h_kv*r", "n"), ("h_kv", "m"))
    )
    one = Tile(*tile, 4, 1)

    def attend(**stored: torch.Tensor) -> Any:
        given = [heads_first(tensor, layout) for tensor in stored.values()]
        if name == "forward for training":
            return launch_forward(*given, causal, one, save_lse=True)
        return flash_attention(*given, causal=causal, tiles=Tiles(one, one, one))

    subject = Subject(attend, {"q": queries, "k": keys, "v": keys}, NAMES)
    if name == "backward":
        return trace_backward(subject, torch.float16)
    return trace_forward(subject, torch.float16)


def derive(name: str, causal: bool, tile: tuple[int, int], layout: str) -> dict[str, sp.Expr]:
    found = trace(name if name.startswith("forward") else "backward", causal, tile, layout)
    assert not found.notes  # nothing is only bounded
    records = [record for record in found.records if record.launch.startswith(f"{PASSES[name]}#")]
    assert sum(record.launches for record in records) == 1
    return {kind: sp.Add(*(getattr(record, amount) for record in records)) for kind, amount in AMOUNTS.items()}


def call(name: str, causal: bool, place: int) -> tuple[str, dict[str, Any]]:
    tile, layout = SETTINGS[place % len(SETTINGS)]
    arguments = {"causal": causal, "tile": tile, "layout": layout, "d_h": WIDTH, **values(place)}
    if PASSES[name] == "forward_kernel":
        return "forward", {**arguments, "save_lse": name != "forward"}
    return name, arguments


def values(place: int) -> dict[str, int]:
    return dict(zip(NAMES, CASES[place], strict=True))


@pytest.fixture(scope="module")
def counted() -> dict[tuple[str, bool], list[dict[str, int]]]:
    """What the interpreter counts for every case of every pass, in one process."""
    keys = [(name, causal) for name in PASSES for causal in (False, True)]
    calls = [call(*key, place) for key in keys for place in range(len(CASES))]
    counts = iter(count_launches(Path(flash_launchers.__file__), calls))
    return {key: [next(counts) for _ in CASES] for key in keys}


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("name", PASSES)
def test_equals_interpreter(name: str, causal: bool, counted: dict[tuple[str, bool], list[dict[str, int]]]) -> None:
    assert len(set(CASES)) >= 20
    for place, truth in enumerate(counted[name, causal]):
        setting = SETTINGS[place % len(SETTINGS)]
        cost = derive(name, causal, *setting)
        found = {kind: evaluate(amount, values(place)) for kind, amount in cost.items()}
        assert found == {kind: truth.get(kind, 0) for kind in AMOUNTS}, (setting, values(place))


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_strides_change_no_count(causal: bool) -> None:
    tile, _ = SETTINGS[1]
    for name in PASSES:
        assert derive(name, causal, tile, "bnhd") == derive(name, causal, tile, "gaps")
