"""Run the mixture of experts in Triton's CPU interpreter and print the errors of every case (see test_moe.py)."""

from functools import partial
from typing import NamedTuple

import torch
from kernels.interpreter_run import Errors, errors, poison_new_tensors, print_report
from torch import Tensor

from tfcost_kernels.moe import moe_ffn
from tfcost_kernels.moe.reference import moe_reference
from tfcost_kernels.moe.routing import route
from tfcost_kernels.moe.tiles import Tile, Tiles

NAMES = ("out", "dx", "dw_router", "dw_gate", "dw_up", "dw_down")


class Case(NamedTuple):
    """One layer; `tile` is (rows, columns, inner) for all kernels; `layout` names the strides and the routing."""

    tokens: int
    d: int
    f: int
    experts: int
    k: int
    dtype: str = "float32"
    activation: str = "silu"
    tile: tuple[int, int, int] | None = (16, 32, 16)
    layout: str = "plain"


CASES = [
    Case(1, 1, 1, 1, 1),
    Case(1, 16, 16, 4, 4),
    Case(63, 33, 17, 4, 2),
    Case(65, 40, 65, 3, 2, "float16", "gelu", (32, 32, 32)),
    Case(100, 48, 32, 5, 1, "float16", "relu", (32, 16, 16)),
    Case(5, 31, 40, 9, 1),  # experts without tokens
    Case(40, 20, 24, 4, 2, layout="one expert"),
    Case(33, 17, 18, 3, 3, layout="transposed"),
    Case(33, 32, 32, 3, 2, "float16", layout="expanded"),
    Case(40, 33, 40, 2, 2, tile=None),
    Case(150, 16, 20, 2, 1, "float16", tile=(16, 16, 16)),  # more row tiles than a band holds
]


def make(case: Case) -> list[Tensor]:
    """x, w_router, w_gate, w_up, w_down."""
    dtype = getattr(torch, case.dtype)
    x, router = torch.randn(case.tokens, case.d), torch.randn(case.experts, case.d) * case.d**-0.5
    gate, up = torch.randn(2, case.experts, case.f, case.d) * case.d**-0.5
    down = torch.randn(case.experts, case.d, case.f) * case.f**-0.5
    if case.layout == "one expert":
        x, router = x.abs(), torch.arange(1.0, case.experts + 1)[:, None].expand_as(router)
    tensors = [tensor.to(dtype) for tensor in (x, router, gate, up, down)]
    if case.layout == "transposed":
        return [tensor.mT.contiguous().mT for tensor in tensors]
    return tensors


def outputs_and_gradients(layer: object, inputs: list[Tensor], grad: Tensor) -> list[Tensor]:
    """out, then the gradient of each input."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    out = layer(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad.to(out.dtype))]


def case_errors(case: Case) -> Errors:
    """The case's errors, the experts being those that the layer's router chose."""
    torch.manual_seed(0)
    inputs = make(case)
    grad = torch.randn(case.tokens, case.d).to(inputs[0].dtype)
    if case.layout == "expanded":
        grad = grad[:1].expand(case.tokens, -1)
    tiles = Tiles(*[Tile(*case.tile, 4, 1)] * 3) if case.tile else None
    _, experts = route(*inputs[:2], case.k)
    got = outputs_and_gradients(partial(moe_ffn, k=case.k, activation=case.activation, tiles=tiles), inputs, grad)
    same, exact = (
        outputs_and_gradients(
            partial(moe_reference, experts=experts, activation=case.activation, dtype=dtype), inputs, grad
        )
        for dtype in (inputs[0].dtype, torch.float64)
    )
    return errors(NAMES, got, same, exact)


def inference_equals_training() -> bool:
    """Without gradients nothing is kept; the output must be the same to the bit."""
    inputs = make(Case(20, 16, 16, 3, 2))
    with torch.no_grad():
        inference = moe_ffn(*inputs, k=2)
    return torch.equal(inference, moe_ffn(*(tensor.requires_grad_() for tensor in inputs), k=2).detach())


if __name__ == "__main__":
    torch.set_num_threads(1)
    poison_new_tensors()
    report = {"errors": [case_errors(case) for case in CASES], "inference_equals_training": inference_equals_training()}
    print_report(report)
