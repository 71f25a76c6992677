"""The book's flash formulas against what an H100's own counters recorded (`tests/gpu/tensor_core_flops.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest

from tfcost.book import load_book

RECORDED = json.loads((Path(__file__).parent.parent / "gpu" / "recorded" / "flash_counters.json").read_text())
BOOK = load_book()


def derived(case: dict[str, Any]) -> dict[str, int]:
    sizes = {"n": case["n"], "m": case["n"], "b": case["b"], "h": case["h"], "h_kv": case["h"], "d_h": case["d_h"]}
    cost = BOOK.find(
        "flash", scope="core", pass_=case["pass_"], dtype=case["dtype"], variant={"causal": case["causal"]},
        values=sizes,
    )  # fmt: skip

    def amount(name: str) -> int:
        return int(sum(step.amounts[name].evaluate(sizes) for step in cost.steps if name in step.amounts))

    return {"flops": amount("matmul_flops"), "read": amount("read_bytes"), "write": amount("write_bytes")}


def name(case: dict[str, Any]) -> str:
    mask = "causal" if case["causal"] else "full"
    return f"n={case['n']} d_h={case['d_h']} {mask} {case['pass_']} {case['dtype']}"


@pytest.mark.parametrize("case", RECORDED["cases"], ids=name)
def test_tensor_core_flops_are_equal(case: dict[str, Any]) -> None:
    assert derived(case)["flops"] == case["measured"]["flops"]


@pytest.mark.parametrize("case", [case for case in RECORDED["cases"] if case["pass_"] == "forward"], ids=name)
def test_bytes_of_the_forward_kernel_are_equal(case: dict[str, Any]) -> None:
    assert derived(case) == case["measured"]


@pytest.mark.parametrize("case", [case for case in RECORDED["cases"] if case["pass_"] == "backward"], ids=name)
def test_bytes_of_the_backward_kernels_are_close(case: dict[str, Any]) -> None:
    # Row sums that two programs of one multiprocessor read hit in L1; odd lengths make the compiler spill registers.
    found, measured = derived(case), case["measured"]
    assert measured["read"] == pytest.approx(found["read"], rel=0.006)
    assert measured["write"] == pytest.approx(found["write"], rel=0.05)
