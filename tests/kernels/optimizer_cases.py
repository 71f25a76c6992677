"""Run the optimizer kernels in Triton's CPU interpreter and print the errors of every case as JSON (see
test_optimizer.py).
"""

from typing import NamedTuple

import torch
from kernels.interpreter_run import print_report
from torch import Tensor

from tfcost_kernels.optimizer import BLOCK, adamw_8bit, adamw_mixed
from tfcost_kernels.optimizer.adamw import AdamW
from tfcost_kernels.optimizer.reference import adamw_reference, decoded, scales_of

STEP = AdamW(rate=0.01, step=3)


class Case(NamedTuple):
    """`size` weights in `dtype`, with a master copy or without one."""

    size: int
    dtype: str
    mixed: bool


CASES = [Case(size, dtype, mixed) for size in (1, 255, 256, 257, 4099)
         for dtype, mixed in (("float16", True), ("float16", False), ("float32", False))]  # fmt: skip


def _errors(got: Tensor, wanted: Tensor, allowed: Tensor) -> float:
    """How far the largest error is of what is allowed: 1 at most."""
    return ((got.double() - wanted).abs() / allowed).max().item()


def _rounding(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.abs() * torch.finfo(dtype).eps + 1e-6


def mixed_errors(size: int) -> dict[str, float]:
    """The float32 state and the rounded weights after one step of `adamw_mixed`."""
    torch.manual_seed(size)
    master, first, second = torch.randn(size), torch.randn(size) * 0.01, torch.rand(size) * 1e-4
    gradient, weight = torch.randn(size).half(), master.half()
    wanted = adamw_reference(master.double(), gradient.double(), first.double(), second.double(), STEP)
    assert adamw_mixed(weight, gradient, master, first, second, STEP) is weight
    got = {"master": master, "first": first, "second": second}
    found = {name: _errors(got[name], one, _rounding(one, torch.float32) * 8)
             for name, one in zip(got, wanted, strict=True)}  # fmt: skip
    return found | {"weight": float((weight != master.half()).sum())}


def _half_steps(value: Tensor, scale: Tensor, levels: int, power: int) -> Tensor:
    """The most that rounding the root of a share to whole `levels` can change the value by."""
    root = levels * (value.abs() / scale) ** (1 / power)
    return scale * (((root + 0.51) / levels) ** power - (root / levels) ** power) + 1e-30


def coded_errors(case: Case) -> dict[str, float]:
    """Weights, moments and scales after one step of `adamw_8bit`."""
    torch.manual_seed(case.size)
    dtype, blocks = getattr(torch, case.dtype), -(-case.size // BLOCK)
    gradient, weight = torch.randn(case.size).to(dtype), torch.randn(case.size).to(dtype)
    master = weight.float() if case.mixed else None
    first = torch.randint(-127, 128, (case.size,), dtype=torch.int8)
    second = torch.randint(0, 256, (case.size,), dtype=torch.uint8)
    scales = torch.rand(blocks) * 0.01, torch.rand(blocks) * 1e-4
    start = (weight if master is None else master).double()
    moments = decoded(first, scales[0]), decoded(second, scales[1])
    wanted = adamw_reference(start, gradient.double(), *moments, STEP)
    adamw_8bit(weight, gradient, first, second, *scales, master=master, step=STEP)
    each = [scales_of(one).repeat_interleave(BLOCK)[: case.size] for one in wanted[1:]]
    return {
        "weight": _errors(weight, wanted[0], _rounding(wanted[0], dtype) * 2),
        "master": 0.0 if master is None else _errors(master, wanted[0], _rounding(wanted[0], torch.float32) * 8),
        "first": _errors(decoded(first, scales[0]), wanted[1], _half_steps(wanted[1], each[0], 127, 2)),
        "second": _errors(decoded(second, scales[1]), wanted[2], _half_steps(wanted[2], each[1], 255, 4)),
        "scales": max(_errors(got, scales_of(one), scales_of(one) * 1e-5)
                      for got, one in zip(scales, wanted[1:], strict=True)),
    }  # fmt: skip


def zeros() -> list[float]:
    """A block of zeros stays one: weights shrink by the decay alone."""
    weight, zero = torch.ones(BLOCK), torch.zeros(BLOCK)
    adamw_8bit(weight, zero, zero.to(torch.int8), zero.to(torch.uint8), torch.zeros(1), torch.zeros(1), step=STEP)
    return weight.unique().tolist()


if __name__ == "__main__":
    print_report(
        {
            "mixed": {size: mixed_errors(size) for size in (1, 1023, 1024, 3001)},
            "coded": [coded_errors(case) for case in CASES],
            "zeros": zeros(),
        }
    )
