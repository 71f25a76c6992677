"""Run gather attention in Triton's CPU interpreter and print the errors of every case as JSON (see test_gather.py)."""

from functools import partial
from typing import NamedTuple

import torch
from kernels.interpreter_run import Errors, errors, poison_new_tensors, print_report
from torch import Tensor

from tfcost_kernels.flash.reference import attention_reference
from tfcost_kernels.gather import gather_attention
from tfcost_kernels.gather.reference import gather_reference

NAMES = ("o", "dq", "dk", "dv")


class Case(NamedTuple):
    """One shape; `lists` is "random" (repeats, gaps and numbers out of range included) or "empty"."""

    n: int
    m: int
    d_h: int
    block: int
    listed: int
    causal: bool = False
    heads: tuple[int, int] = (1, 1)
    dtype: str = "float32"
    layout: str = "bhnd"
    lists: str = "random"


CASES = [
    *(
        Case(n, m, d_h, block, 3, causal, dtype=dtype)
        for n, d_h, block, dtype in ((1, 16, 16, "float32"), (63, 32, 32, "float16"), (65, 64, 32, "float32"))
        for m in (n, n + 37)
        for causal in (False, True)
    ),
    Case(257, 100, 16, 64, 2, True, dtype="float16"),
    Case(100, 257, 128, 64, 4, False, dtype="float16"),
    Case(130, 200, 16, 128, 2, True, dtype="float16"),
    Case(40, 45, 16, 16, 3, True, (4, 2)),
    Case(50, 70, 32, 32, 2, False, (6, 2), "float16"),
    Case(33, 65, 16, 16, 2, True, (4, 1), layout="bnhd"),
    Case(40, 50, 16, 16, 2, False, (2, 2), layout="gaps"),
    Case(40, 50, 16, 16, 2, True, (2, 1), layout="columns"),
    Case(40, 50, 16, 16, 1),
    Case(40, 50, 16, 16, 2, lists="empty"),
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


def make_lists(case: Case, batch: int) -> Tensor:
    """Block numbers, among them -1 and one past the last."""
    tiles, blocks = -(-case.n // case.block), -(-case.m // case.block)
    shape = (batch, case.heads[1], tiles, case.listed)
    if case.lists == "empty":
        return torch.full(shape, -1, dtype=torch.int32)
    index = torch.randint(-1, blocks + 1, shape, dtype=torch.int32)
    return index.transpose(0, 1).contiguous().transpose(0, 1) if case.layout == "bnhd" else index


def outputs_and_gradients(attend: object, inputs: list[Tensor], grad: Tensor) -> list[Tensor]:
    """O, dQ, dK, dV."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    o = attend(*leaves)
    return [o.detach(), *torch.autograd.grad(o, leaves, grad.to(o.dtype))]


def case_errors(case: Case) -> Errors:
    """The case's errors."""
    torch.manual_seed(0)
    dtype, (h, h_kv), batch = getattr(torch, case.dtype), case.heads, 1 if case.heads == (1, 1) else 2
    shapes = [(batch, h, case.n, case.d_h), (batch, h_kv, case.m, case.d_h), (batch, h_kv, case.m, case.d_h)]
    inputs = [make(shape, case.layout, dtype) for shape in shapes]
    grad = make(shapes[0], case.layout, dtype)
    options = {"index": make_lists(case, batch), "block": case.block, "causal": case.causal}
    got = outputs_and_gradients(partial(gather_attention, **options), inputs, grad)
    same, exact = (
        outputs_and_gradients(partial(gather_reference, **options, dtype=to), inputs, grad)
        for to in (dtype, torch.float64)
    )
    return errors(NAMES, got, same, exact)


def all_blocks_is_full_attention(causal: bool) -> Errors:
    """With every block listed, in any order, the result is ordinary attention."""
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 2, 50, 16), torch.randn(1, 1, 70, 16), torch.randn(1, 1, 70, 16)
    grad = torch.randn_like(q)
    index = torch.stack([torch.randperm(5) for _ in range(4)])[None, None].int()
    got = outputs_and_gradients(partial(gather_attention, index=index, block=16, causal=causal), [q, k, v], grad)
    same, exact = (
        outputs_and_gradients(partial(attention_reference, causal=causal, dtype=to), [q, k, v], grad)
        for to in (torch.float32, torch.float64)
    )
    return errors(NAMES, got, same, exact)


def inference_equals_training() -> bool:
    """Without gradients the kernel skips LSE; the output must be the same to the bit."""
    q, k, v = (torch.randn(1, 2, 40, 16) for _ in range(3))
    index = torch.randint(0, 3, (1, 2, 3, 2), dtype=torch.int32)
    with torch.no_grad():
        inference = gather_attention(q, k, v, index, block=16)
    return torch.equal(inference, gather_attention(q.requires_grad_(), k, v, index, block=16).detach())


if __name__ == "__main__":
    torch.set_num_threads(1)
    poison_new_tensors()
    print_report({
        "errors": [case_errors(case) for case in CASES],
        "full": [all_blocks_is_full_attention(causal) for causal in (False, True)],
        "inference_equals_training": inference_equals_training(),
    })  # fmt: skip
