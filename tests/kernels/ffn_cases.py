"""Run the gated activation in Triton's CPU interpreter and print the errors of every case as JSON (see test_ffn.py)."""

from functools import partial
from typing import NamedTuple

import torch
from kernels.interpreter_run import Errors, errors, poison_new_tensors, print_report
from torch import Tensor

from tfcost_kernels.ffn import gated_activation
from tfcost_kernels.ffn.reference import gated_reference


class Case(NamedTuple):
    """One shape; `layout` is "plain", "chunk" (halves of one tensor), "transposed" or "expanded"."""

    shape: tuple[int, ...]
    activation: str
    dtype: str = "float32"
    layout: str = "plain"


ACTIVATIONS = ("silu", "gelu", "relu")
CASES = [
    *(Case((size,), name, dtype) for size in (1, 63, 1024, 1025) for name in ACTIVATIONS
      for dtype in ("float32", "float16")),
    *(Case((2, 5, 257), name, "float16", layout) for name in ACTIVATIONS for layout in ("chunk", "transposed")),
    Case((3, 7), "silu", layout="expanded"),
    Case((), "gelu"),
    Case((0, 5), "silu"),
]  # fmt: skip


def make_pair(case: Case) -> list[Tensor]:
    """Gate and up, with values large enough to saturate the activations."""
    dtype = getattr(torch, case.dtype)
    if case.layout == "chunk":
        *rows, width = case.shape
        return list((4 * torch.randn(*rows, 2 * width)).to(dtype).chunk(2, -1))
    if case.layout == "transposed":
        return [(4 * torch.randn(case.shape[::-1])).to(dtype).permute(*reversed(range(len(case.shape)))) for _ in "gu"]
    if case.layout == "expanded":
        return [torch.randn(case.shape[-1]).to(dtype).expand(case.shape) for _ in "gu"]
    return [(4 * torch.randn(case.shape)).to(dtype) for _ in "gu"]


def outputs_and_gradients(function: object, inputs: list[Tensor], grad: Tensor) -> list[Tensor]:
    """out, dgate, dup."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    out = function(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad.to(out.dtype))]


def case_errors(case: Case) -> Errors:
    """The case's errors, of out, dgate, dup."""
    torch.manual_seed(0)
    inputs = make_pair(case)
    grad = make_pair(case)[0]
    got = outputs_and_gradients(partial(gated_activation, activation=case.activation), inputs, grad)
    same, exact = (
        outputs_and_gradients(partial(gated_reference, activation=case.activation, dtype=dtype), inputs, grad)
        for dtype in (inputs[0].dtype, torch.float64)
    )
    return errors(("out", "dgate", "dup"), got, same, exact)


def far_tails() -> dict[str, list[float]]:
    """Activations and slopes where exponentials over- and underflow."""
    gate = torch.tensor([-1e30, -200.0, 0.0, 200.0, 1e30])
    found = {}
    for activation in ACTIVATIONS:
        leaf = gate.clone().requires_grad_()
        out = gated_activation(leaf, torch.ones(5), activation=activation)
        found[activation] = [*out.tolist(), *torch.autograd.grad(out.sum(), leaf)[0].tolist()]
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    poison_new_tensors()
    print_report({"errors": [case_errors(case) for case in CASES], "tails": far_tails()})
