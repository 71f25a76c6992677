"""Memory that a device's kernels take and return unseen by a trace: one rule per operation, each with its source.

A derivation for "cuda" adds these to the live total while the operation runs; one for "cpu" adds none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from tfcost.derive.rules import Call


@dataclass(frozen=True, slots=True)
class WorkspaceRule:
    """`bytes_of` the temporary memory of one call, and the `source` that shows it."""

    bytes_of: Callable[[Call], sp.Expr]
    source: str


def _gradient_times_output(call: Call) -> sp.Expr:
    gradient = call.args[0]
    return call.numel(gradient) * call.sizes.element_bytes(gradient)


CUDA: dict[str, WorkspaceRule] = {
    "aten._softmax_backward_data": WorkspaceRule(
        _gradient_times_output,
        "softmax backward makes grad * output first: aten/src/ATen/native/cuda/SoftMax.cu, softmax_backward_cuda_out",
    ),
}

RULES: dict[str, dict[str, WorkspaceRule]] = {"cuda": CUDA, "cpu": {}}
