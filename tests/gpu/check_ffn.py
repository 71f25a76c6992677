"""The gated activation on a CUDA GPU: is it right, and how near is it to the speed of a copy.

Run: `python tests/gpu/check_ffn.py --output ffn.json`; `tfcost_kernels` must be importable. Exits 1 if a result is
wrong. GB/s count the arrays that must move: 3 forward, 5 backward.
"""

import sys
from collections.abc import Iterator
from functools import partial

import torch
from checking import Case, Row, copy_bandwidth, gradients, judge, median_ms, poisoned_outputs, run
from torch import Tensor

from tfcost_kernels.ffn import gated_activation
from tfcost_kernels.ffn.gated import launch_gated, launch_gated_backward
from tfcost_kernels.ffn.reference import gated_reference

ACTIVATIONS = ("silu", "gelu", "relu")
NAMES = ("out", "dgate", "dup")


def make(*shape: int, dtype: torch.dtype = torch.bfloat16) -> list[Tensor]:
    """Gate, up and the output's gradient."""
    torch.manual_seed(0)
    return [(3 * torch.randn(shape, device="cuda")).to(dtype) for _ in NAMES]


def check() -> Iterator[Case]:
    """Odd sizes, every activation and type, and one array of more than 2³¹ elements."""
    for activation in ACTIVATIONS:
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            for shape in ((1,), (1023,), (3, 1000, 257), (4097, 1023)):
                yield partial(check_case, activation, dtype, shape)
    yield _beyond_32_bits


def check_case(activation: str, dtype: torch.dtype, shape: tuple[int, ...]) -> Row:
    """One case."""
    gate, up, dout = make(*shape, dtype=dtype)
    with poisoned_outputs():
        got = gradients(partial(gated_activation, activation=activation), (gate, up), dout)
    same, exact = (
        gradients(partial(gated_reference, activation=activation, dtype=to), (gate, up), dout)
        for to in (dtype, torch.float64)
    )
    return judge({"activation": activation, "dtype": str(dtype), "shape": shape}, NAMES, got, same, exact)


def _beyond_32_bits() -> Row:
    """Relu of ones and twos: the last elements lie beyond 2³¹."""
    size = 2**31 + 4097
    gate = torch.ones(size, device="cuda", dtype=torch.bfloat16)
    with poisoned_outputs():
        out = gated_activation(gate, torch.full_like(gate, 2), activation="relu")
    wrong = float((out != 2).sum())
    return {"size": size, "share_of_limit": {"out": wrong}, "right": wrong == 0}


def speed() -> Iterator[Row]:
    """GB/s of kernel and torch, and the kernel's share of a copy's bandwidth."""
    copy = copy_bandwidth()
    yield {"copy_GB_per_s": copy / 1e9}
    for activation in ACTIVATIONS:
        for tokens, width in ((16384, 11008), (32768, 14336)):
            gate, up, dout = make(tokens, width)
            size = gate.numel() * gate.element_size()
            forward = median_ms(partial(launch_gated, gate, up, activation))
            backward = median_ms(partial(launch_gated_backward, gate, up, dout, activation))
            torch_forward = median_ms(partial(gated_reference, gate, up, activation=activation))
            rates = {"forward": 3 * size / forward / 1e6, "backward": 5 * size / backward / 1e6}
            yield {
                "activation": activation, "tokens": tokens, "f": width,
                **{f"{name}_GB_per_s": rate for name, rate in rates.items()},
                **{f"{name}_of_copy": rate * 1e9 / copy for name, rate in rates.items()},
                "torch_forward_GB_per_s": 3 * size / torch_forward / 1e6,
            }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run(__doc__ or "", check, speed))
