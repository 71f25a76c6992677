"""Every torch technique, forward and backward, at concrete sizes: derived matmul FLOPs against torch's own counter,
derived peak memory against what the CPU allocator really did."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles.allocator import peak_of_backward, peak_of_forward
from torch.utils.flop_counter import FlopCounterMode

from tfcost.derive.harness import run_forward, run_held
from tfcost.derive.sizes import ELEMENT, size_symbol
from tfcost.derive.subject import Size, Subject, Tensor, parse_shape
from tfcost.derive.technique import Variant
from tfcost.derive.trace import PassTrace, trace_backward, trace_forward
from tfcost.formula import Formula
from tfcost.techniques import ffn, linear, standard

# Allocations of the profiler's own marker, and nothing else, may differ.
TOLERANCE = 64
POINTS = (
    {"b": 1, "h_kv": 1, "r": 1, "n": 5, "m": 5, "d_h": 8, "d": 8, "f": 16, "t": 2, "c": 5, "p": 2, "e": 3},
    {"b": 2, "h_kv": 3, "r": 2, "n": 65, "m": 33, "d_h": 16, "d": 96, "f": 100, "t": 5, "c": 13, "p": 4, "e": 7},
    {"b": 1, "h_kv": 2, "r": 1, "n": 128, "m": 128, "d_h": 32, "d": 64, "f": 256, "t": 4, "c": 32, "p": 31, "e": 1},
    {"b": 2, "h_kv": 1, "r": 4, "n": 77, "m": 99, "d_h": 8, "d": 32, "f": 64, "t": 7, "c": 11, "p": 5, "e": 64},
    {"b": 1, "h_kv": 4, "r": 1, "n": 300, "m": 300, "d_h": 16, "d": 64, "f": 128, "t": 25, "c": 12, "p": 11, "e": 100},
)


def _cases() -> list[Any]:
    found = []
    for module in (standard, linear, ffn):
        for variant in module.TECHNIQUE.variants():
            # Kernels need a GPU; what they do is counted in the interpreter (tests/book/test_kernel_counts.py).
            if variant.scope in ("core", "layer") and not variant.options.get("fused"):
                options = "-".join(f"{name}={value}" for name, value in variant.options.items())
                found.append(pytest.param(variant, id=f"{module.TECHNIQUE.name}-{variant.scope}-{options}"))
    return found


def _arguments(subject: Subject, point: dict[str, int], training: bool) -> Callable[[], dict[str, Any]]:
    values = {**point, **subject.fixed}

    def make() -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, argument in subject.arguments.items():
            if isinstance(argument, Tensor):
                shape = [int(dimension.evaluate(values)) for dimension in parse_shape(argument.shape)]
                made[name] = torch.randn(shape).requires_grad_(training)
            elif isinstance(argument, Size):
                made[name] = int(Formula(argument.expression).evaluate(values))
            else:
                made[name] = argument
        return made

    return make


def _value(candidates: tuple[Any, ...], subject: Subject, point: dict[str, int]) -> int:
    values = {size_symbol(name): value for name, value in {**point, **subject.fixed}.items()}
    return max(int(candidate.xreplace({ELEMENT: 4}).subs(values)) for candidate in candidates)


def _flops(trace: PassTrace) -> tuple[Any, ...]:
    return (sum(record.matmul_flops for record in trace.records),)


@pytest.mark.parametrize("variant", _cases())
def test_flops_and_peak_equal_what_torch_did(variant: Variant) -> None:
    subject = variant.subject
    forward, backward = (trace(subject, torch.float32, "cpu") for trace in (trace_forward, trace_backward))
    for sizes in POINTS:
        # A grouped variant is for query heads that share keys, and one with earlier keys assumes b*h_kv > 1.
        assumed = (
            {"r": 2} if variant.options.get("grouped") else {"h_kv": 2} if variant.options.get("earlier_keys") else {}
        )
        point = {**sizes, **assumed}
        with FlopCounterMode(display=False) as counter:
            run_forward(subject.function, _arguments(subject, point, False)())
        assert _value(_flops(forward), subject, point) == counter.get_total_flops(), point
        with FlopCounterMode(display=False) as counter:
            run_held(subject.function, _arguments(subject, point, True)(), lambda outputs: counter.flop_counts.clear())
        assert _value(_flops(backward), subject, point) == counter.get_total_flops(), point
        peak = peak_of_forward(subject.function, _arguments(subject, point, False))
        assert abs(_value(forward.peak, subject, point) - peak) <= TOLERANCE, point
        peak = peak_of_backward(subject.function, _arguments(subject, point, True))
        assert abs(_value(backward.peak, subject, point) - peak) <= TOLERANCE, point
