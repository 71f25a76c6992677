"""Small functions of tensors x, y, z traced and run: totals at concrete sizes, and the comparison with torch."""

from collections.abc import Callable
from typing import Any

import sympy as sp
import torch
from oracles.allocator import peak_of_backward, peak_of_forward
from oracles.evaluation import evaluate
from torch.utils.flop_counter import FlopCounterMode

from tfcost.derive.harness import run_held
from tfcost.derive.sizes import ELEMENT
from tfcost.derive.subject import Subject, Tensor, parse_shape
from tfcost.derive.trace import PassTrace, trace_backward, trace_forward

# Allocations of the profiler's own marker.
TOLERANCE = 64
Function = Callable[..., Any]
POINTS = ({"n": 64, "d": 3}, {"n": 33, "d": 100})


def subject(function: Function, *shapes: str) -> Subject:
    names = ("x", "y", "z")[: len(shapes)]
    tensors = {name: Tensor(shape.partition(":")[0], "index" if ":" in shape else "input")
               for name, shape in zip(names, shapes, strict=True)}  # fmt: skip
    return Subject(function, tensors, ("n", "d"))


def forward(function: Function, *shapes: str, dtype: torch.dtype = torch.float32) -> PassTrace:
    return trace_forward(subject(function, *shapes), dtype, "cpu")


def value(expression: sp.Expr, n: int = 5, d: int = 8) -> int:
    """At concrete sizes, with 4-byte elements."""
    found = evaluate(expression.xreplace({ELEMENT: sp.Integer(4)}), {"n": n, "d": d})
    assert found == int(found)
    return int(found)


def total(trace: PassTrace, amount: str) -> int:
    return value(sp.Add(*(getattr(record, amount) for record in trace.records)))


def peak(trace: PassTrace, n: int = 5, d: int = 8) -> int:
    return max(value(candidate, n, d) for candidate in trace.peak)


def check_against_torch(function: Function, *shapes: str, backward: bool = True, unseen: int = 0) -> None:
    """Peak memory and matmul FLOPs of both passes at several sizes; `unseen` bytes may be the allocator's alone."""
    one = subject(function, *shapes)
    traces = {"forward": trace_forward(one, torch.float32, "cpu")}
    if backward:
        traces["backward"] = trace_backward(one, torch.float32, "cpu")
    for point in POINTS:

        def make(training: bool, point: dict[str, int] = point) -> dict[str, Any]:
            return {name: _real(tensor, point, training) for name, tensor in one.arguments.items()}

        real = peak_of_forward(function, lambda make=make: make(False))
        assert -TOLERANCE <= real - peak(traces["forward"], **point) <= unseen + TOLERANCE, point
        if not backward:
            continue
        real = peak_of_backward(function, lambda make=make: make(True))
        assert -TOLERANCE <= real - peak(traces["backward"], **point) <= unseen + TOLERANCE, point
        with FlopCounterMode(display=False) as counter:
            run_held(function, make(True), lambda outputs, counter=counter: counter.flop_counts.clear())
        flops = sp.Add(*(record.matmul_flops for record in traces["backward"].records))
        assert value(flops, **point) == counter.get_total_flops(), point


def _real(tensor: Tensor, point: dict[str, int], training: bool) -> torch.Tensor:
    shape = [int(dimension.evaluate(point)) for dimension in parse_shape(tensor.shape)]
    if tensor.role == "index":
        return torch.zeros(shape, dtype=torch.int64)
    return torch.randn(shape).requires_grad_(training)
