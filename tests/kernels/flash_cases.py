"""Run flash attention in Triton's CPU interpreter and print the errors of every case as JSON.

Started by test_flash.py in a process of its own: Triton reads TRITON_INTERPRET when a kernel is decorated, so one
process has either interpreted or compiled kernels. Float types are fp16 and fp32: the interpreter keeps bf16 as raw
16-bit integers and multiplies those.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from tfcost_kernels.flash import flash_attention
from tfcost_kernels.flash.reference import attention_reference
from tfcost_kernels.flash.tiles import Tile, Tiles


class Case(NamedTuple):
    """One shape; `tile` is (rows, keys) for all kernels, None for the table's; `layout` names the strides."""

    n: int
    m: int
    d_h: int
    causal: bool = False
    heads: tuple[int, int] = (1, 1)
    dtype: str = "float32"
    tile: tuple[int, int] | None = None
    layout: str = "bhnd"


ODD_LENGTHS = [
    Case(n, m, d_h, causal, tile=(64, 32), dtype=dtype)
    for n, d_h, dtype in ((1, 16, "float32"), (63, 32, "float16"), (65, 64, "float32"), (129, 16, "float16"))
    for m in (n, n + 37)
    for causal in (False, True)
]
CASES = [
    *ODD_LENGTHS,
    Case(200, 200, 128, True, dtype="float16"),
    Case(200, 131, 64, False, dtype="float16"),
    Case(129, 65, 32, True, tile=(32, 16)),  # n > m: rows without keys
    Case(200, 1, 16, True, tile=(16, 16)),
    Case(63, 200, 16, True, tile=(32, 64)),
    Case(65, 65, 16, True, (4, 2), tile=(32, 64)),
    Case(65, 129, 32, False, (6, 2), "float16", (64, 64)),
    Case(33, 65, 16, True, (4, 1), tile=(32, 32), layout="bnhd"),
    Case(65, 33, 16, False, (2, 2), tile=(64, 32), layout="gaps"),
    Case(40, 50, 16, True, (2, 1), tile=(32, 32), layout="columns"),
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


def outputs_and_gradients(attend: Callable[..., Tensor], inputs: list[Tensor], grad: Tensor) -> list[Tensor]:
    """O, dQ, dK, dV of `attend` in fp64."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    o = attend(*leaves)
    return [t.detach().double() for t in (o, *torch.autograd.grad(o, leaves, grad.to(o.dtype)))]


def errors(case: Case) -> dict[str, dict[str, float]]:
    """Largest absolute error of O, dQ, dK, dV against fp64: of the kernels and of torch in the case's dtype."""
    torch.manual_seed(0)
    dtype, (h, h_kv), batch = getattr(torch, case.dtype), case.heads, 1 if case.heads == (1, 1) else 2
    shapes = [(batch, h, case.n, case.d_h), (batch, h_kv, case.m, case.d_h), (batch, h_kv, case.m, case.d_h)]
    inputs = [make(shape, case.layout, dtype) for shape in shapes]
    grad = make(shapes[0], case.layout, dtype)
    tiles = Tiles(*[Tile(*case.tile, 4, 1)] * 3) if case.tile else None
    got = outputs_and_gradients(partial(flash_attention, causal=case.causal, tiles=tiles), inputs, grad)
    same, exact = (
        outputs_and_gradients(partial(attention_reference, causal=case.causal, dtype=to), inputs, grad)
        for to in (dtype, torch.float64)
    )
    return {
        name: {"kernel": (g - e).abs().max().item(), "torch": (s - e).abs().max().item(), "size": e.abs().max().item()}
        for name, g, s, e in zip(("o", "dq", "dk", "dv"), got, same, exact, strict=True)
    }


def inference_equals_training() -> bool:
    """Without gradients the kernel skips LSE; the output must be the same to the bit."""
    q, k, v = (torch.randn(1, 2, 40, 16) for _ in range(3))
    with torch.no_grad():
        inference = flash_attention(q, k, v, causal=True)
    return torch.equal(inference, flash_attention(q.requires_grad_(), k, v, causal=True).detach())


def poison_new_tensors() -> None:
    """Fill every new output with NaN, so that an element which no program writes shows."""
    empty, empty_like = torch.empty, torch.empty_like
    torch.empty = lambda *a, **kw: empty(*a, **kw).fill_(float("nan"))
    torch.empty_like = lambda *a, **kw: empty_like(*a, **kw).fill_(float("nan"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    poison_new_tensors()
    report = {"errors": [errors(case) for case in CASES], "inference_equals_training": inference_equals_training()}
    print(json.dumps(report))
