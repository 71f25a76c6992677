"""Run linear attention in Triton's CPU interpreter and print the errors of every case as JSON.

Started by test_linear.py in a process of its own (see `interpreter_run`).
"""

from functools import partial
from typing import Any, NamedTuple

import torch
from kernels.interpreter_run import errors, poison_new_tensors, print_report
from torch import Tensor

from tfcost_kernels.linear import causal_linear_attention, linear_attention, linear_decode_step
from tfcost_kernels.linear.reference import linear_reference
from tfcost_kernels.linear.tiles import Tile, Tiles, Walk

NAMES = ("o", "dq", "dk", "dv")


class Case(NamedTuple):
    """One shape; `tile` is (rows, step, segment) for all kernels, None for the table's; m None means causal."""

    n: int
    m: int | None
    d_h: int
    feature_map: str = "elu+1"
    heads: tuple[int, int] = (1, 1)
    dtype: str = "float32"
    tile: tuple[int, int, int] | None = (32, 16, 64)
    layout: str = "bhnd"
    normalise: bool = True


CASES = [
    Case(1, None, 16),
    Case(63, None, 32, "relu", dtype="float16"),
    Case(65, None, 16, "exp", tile=(16, 16, 32), layout="gaps"),
    Case(100, None, 16, "elu+1", (4, 2), "float16", (64, 32, 64), "bnhd"),
    Case(257, None, 16, "relu", tile=(64, 32, 128)),
    Case(49, None, 32, "exp", tile=(16, 16, 16)),  # a segment is one tile
    Case(170, None, 16, "exp", tile=(16, 16, 16)),  # eleven segments: their sums take two rounds
    Case(40, None, 16, "elu+1", tile=(64, 64, 128)),  # a segment longer than all rows
    Case(70, None, 16, "elu+1", tile=(16, 32, 64)),  # a step longer than what a program owns
    Case(130, None, 64, "elu+1", dtype="float16", tile=None),
    Case(37, None, 16, "exp", (2, 1), tile=(16, 16, 32), normalise=False),
    Case(1, 1, 16),
    Case(63, 100, 32, "relu", dtype="float16", layout="columns"),
    Case(65, 1, 16, "exp"),
    Case(100, 257, 16, "elu+1", (3, 1), tile=(64, 32, 128)),
    Case(65, 130, 128, "elu+1", dtype="float16", tile=None),
    Case(50, 150, 16, "relu", (2, 2), tile=(16, 16, 16), normalise=False),
]


def make(shape: tuple[int, int, int, int], layout: str, dtype: torch.dtype) -> Tensor:
    """Random values of `shape` with other strides: rows before heads, unused columns, or a strided last dimension."""
    b, h, n, d_h = shape
    if layout == "bnhd":
        return torch.randn(b, n, h, d_h).to(dtype).transpose(1, 2)
    if layout == "gaps":
        return torch.randn(b, h, n, 3 * d_h).to(dtype)[..., d_h : 2 * d_h]
    if layout == "columns":
        return torch.randn(b, h, d_h, n).to(dtype).transpose(2, 3)
    return torch.randn(shape).to(dtype)


def outputs_and_gradients(attend: Any, inputs: list[Tensor], grad: Tensor) -> list[Tensor]:
    """O, dQ, dK, dV of `attend`."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    o = attend(*leaves)
    return [o.detach(), *torch.autograd.grad(o, leaves, grad.to(o.dtype))]


def kernels_of(case: Case) -> Any:
    """The function that `case` calls, with its options."""
    options: dict[str, Any] = {"feature_map": case.feature_map, "normalise": case.normalise}
    if case.tile:
        rows, step, segment = case.tile
        tile, walk = Tile(rows, step, 4, 1), Walk(step, 4, 1)
        options["tiles"] = Tiles(segment, walk, tile, walk, tile, tile)
    if case.m is not None:
        return partial(linear_attention, **options)
    return partial(causal_linear_attention, c=case.tile[2] if case.tile else 64, **options)


def case_errors(case: Case) -> dict[str, dict[str, float]]:
    """Largest absolute error of O, dQ, dK, dV against fp64: of the kernels and of torch in the case's dtype."""
    torch.manual_seed(0)
    dtype, (h, h_kv), batch = getattr(torch, case.dtype), case.heads, 1 if case.heads == (1, 1) else 2
    m = case.n if case.m is None else case.m
    shapes = [(batch, h, case.n, case.d_h), (batch, h_kv, m, case.d_h), (batch, h_kv, m, case.d_h)]
    inputs = [make(shape, case.layout, dtype) for shape in shapes]
    grad = make(shapes[0], case.layout, dtype)
    reference = partial(linear_reference, causal=case.m is None, feature_map=case.feature_map, normalise=case.normalise)
    got = outputs_and_gradients(kernels_of(case), inputs, grad)
    same, exact = (outputs_and_gradients(partial(reference, dtype=to), inputs, grad) for to in (dtype, torch.float64))
    return errors(NAMES, got, same, exact)


def decode_errors(dtype: torch.dtype) -> dict[str, dict[str, float]]:
    """Twelve decode steps against the rows of causal attention, and the final state against its definition."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, heads, 12, 16).to(dtype) for heads in (4, 2, 2))
    state, keys = torch.zeros(2, 2, 16, 16), torch.zeros(2, 2, 16)
    rows = [linear_decode_step(*(t[:, :, i : i + 1] for t in (q, k, v)), state, keys) for i in range(12)]
    got = [torch.cat(rows, dim=2), state, keys]
    same, exact = (
        [linear_reference(q, k, v, causal=True, dtype=to), features.transpose(-2, -1) @ v.to(to), features.sum(2)]
        for to in (dtype, torch.float64)
        for features in [torch.nn.functional.elu(k.to(to)) + 1]
    )
    return errors(("o", "state", "keys"), got, same, exact)


def inference_equals_training() -> bool:
    """Without gradients the kernel stores no normalisers; the output must be the same to the bit."""
    q, k, v = (torch.randn(1, 2, 40, 16) for _ in range(3))
    with torch.no_grad():
        inference = causal_linear_attention(q, k, v, 16)
    return torch.equal(inference, causal_linear_attention(q.requires_grad_(), k, v, 16).detach())


def largest_of_switched_off() -> float:
    """A ReLU that switches every query off: the normaliser is ε alone, outputs and gradients are 0, and not NaN."""
    q, k, v, grad = (torch.randn(1, 1, 20, 16).half() for _ in range(4))
    results = outputs_and_gradients(partial(causal_linear_attention, c=16, feature_map="relu"), [-q.abs(), k, v], grad)
    return max(result.abs().max().item() for result in results)


if __name__ == "__main__":
    torch.set_num_threads(1)
    poison_new_tensors()
    print_report(
        {
            "errors": [case_errors(case) for case in CASES],
            "decode": {str(dtype): decode_errors(dtype) for dtype in (torch.float32, torch.float16)},
            "inference_equals_training": inference_equals_training(),
            "largest_of_switched_off": largest_of_switched_off(),
        }
    )
