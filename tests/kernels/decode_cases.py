"""Run decode attention in Triton's CPU interpreter and print the errors of every case as JSON (see test_decode.py)."""

from typing import NamedTuple

import torch
from kernels.interpreter_run import Errors, errors, poison_new_tensors, print_report
from torch import Tensor

from tfcost_kernels.decode import decode_attention
from tfcost_kernels.decode.reference import decode_reference


class Case(NamedTuple):
    """One call; `heads` is (h, h_kv), `spare` the unused rows of the caches, `layout` names their strides."""

    length: int
    splits: int
    d_h: int = 16
    heads: tuple[int, int] = (2, 1)
    first: int = 0
    dtype: str = "float32"
    layout: str = "bhnd"
    spare: int = 7


CASES = [
    *(Case(length, splits, dtype=dtype) for length in (1, 31, 33, 257) for splits in (1, 3, 17)
      for dtype in ("float32", "float16")),
    *(Case(100, 2, d_h, dtype="float16") for d_h in (32, 64, 128, 256)),
    Case(100, 4, heads=(1, 1)),
    Case(100, 4, heads=(6, 2)),
    Case(65, 2, heads=(16, 1), dtype="float16"),
    Case(65, 2, heads=(34, 2)),  # 17 heads per group: two tiles of rows
    Case(257, 3, first=1),
    Case(257, 3, first=100, heads=(4, 2), dtype="float16"),
    Case(257, 3, first=256),
    Case(40, 2, first=40),  # no keys
    Case(40, 2, first=60),
    Case(0, 2),
    Case(100, 3, layout="bnhd", heads=(4, 2)),
    Case(100, 3, layout="gaps"),
    Case(50, 3, layout="columns"),
    Case(64, 2, spare=0),
]  # fmt: skip


def make_cache(case: Case, batch: int, dtype: torch.dtype) -> Tensor:
    """Random rows first..length-1; every other row is NaN, so that reading one shows."""
    heads, rows = case.heads[1], case.length + case.spare
    if case.layout == "bnhd":
        cache = torch.randn(batch, rows, heads, case.d_h).to(dtype).transpose(1, 2)
    elif case.layout == "gaps":
        cache = torch.randn(batch, heads, rows, 3 * case.d_h).to(dtype)[..., case.d_h : 2 * case.d_h]
    elif case.layout == "columns":
        cache = torch.randn(batch, heads, case.d_h, rows).to(dtype).transpose(2, 3)
    else:
        cache = torch.randn(batch, heads, rows, case.d_h).to(dtype)
    cache[:, :, : case.first] = float("nan")
    cache[:, :, case.length :] = float("nan")
    return cache


def case_errors(case: Case) -> Errors:
    """The case's errors; `got` is taken with the caches as they are, NaN included."""
    torch.manual_seed(0)
    dtype, batch = getattr(torch, case.dtype), 2
    # Scores large enough that the parts' maxima differ.
    q = (3 * torch.randn(batch, case.heads[0], 1, case.d_h)).to(dtype)
    k, v = (make_cache(case, batch, dtype) for _ in "kv")
    with torch.no_grad():
        got = decode_attention(q, k, v, case.length, splits=case.splits, first=case.first)
    same, exact = (decode_reference(q, k, v, case.length, first=case.first, dtype=to) for to in (dtype, torch.float64))
    assert got.shape == q.shape
    assert got.dtype == dtype
    return errors(["o"], [got], [same], [exact])


if __name__ == "__main__":
    torch.set_num_threads(1)
    poison_new_tensors()
    print_report({"errors": [case_errors(case) for case in CASES]})
