"""Where a device's kernels use memory otherwise than a trace shows: one rule per operation, each with its source.

Workspace is taken and returned unseen: a derivation for "cuda" adds it to the live total while the operation runs, one
for "cpu" only where every device takes it. Some results are of another type on the device than where the trace is made.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp
import torch

from tfcost.derive.rules import Call


@dataclass(frozen=True, slots=True)
class WorkspaceRule:
    """`bytes_of` the temporary memory of one call, and the `source` that shows it."""

    bytes_of: Callable[[Call], sp.Expr]
    source: str


def _gradient_times_output(call: Call) -> sp.Expr:
    gradient = call.args[0]
    return call.numel(gradient) * call.sizes.element_bytes(gradient)


def _contiguous_copy(call: Call) -> sp.Expr:
    gradient = call.args[0]
    return sp.S.Zero if gradient.is_contiguous() else call.numel(gradient) * call.sizes.element_bytes(gradient)


EVERYWHERE: dict[str, WorkspaceRule] = {
    "aten.embedding_dense_backward": WorkspaceRule(
        _contiguous_copy,
        "embedding backward copies a gradient that is not contiguous: aten/src/ATen/native/Embedding.cpp, "
        "embedding_dense_backward_cpu",
    ),
}

CUDA: dict[str, WorkspaceRule] = {
    **EVERYWHERE,
    "aten._softmax_backward_data": WorkspaceRule(
        _gradient_times_output,
        "softmax backward makes grad * output first: aten/src/ATen/native/cuda/SoftMax.cu, softmax_backward_cuda_out",
    ),
}

RULES: dict[str, dict[str, WorkspaceRule]] = {"cuda": CUDA, "cpu": EVERYWHERE}


@dataclass(frozen=True, slots=True)
class DtypeRule:
    """Of an operation's results, those at `places` are of this `dtype`; the `source` that shows it."""

    places: tuple[int, ...]
    dtype: torch.dtype
    source: str


DTYPES: dict[str, dict[str, DtypeRule]] = {
    "cuda": {
        "aten.native_layer_norm": DtypeRule(
            (1, 2), torch.float32,
            "layer norm keeps mean and deviation in float32: aten/src/ATen/native/cuda/layer_norm_kernel.cu, "
            "layer_norm_cuda",
        ),
    },
    "cpu": {},
}  # fmt: skip
