"""The mixture of experts on a CUDA GPU: is it right, and how fast are the layer and each of its grouped products.

Run: `python tests/gpu/check_moe.py --output moe.json`; `tfcost_kernels` must be importable. Exits 1 if a result is
wrong. TFLOP/s count the rows that exist, 2·d·f per row and product, no padding; `torch` is the reference, one cuBLAS
product per expert.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import torch
from checking import Case, Row, gradients, judge, median_ms, poisoned_outputs, run
from torch import Tensor

from tfcost_kernels.moe import experts as launchers
from tfcost_kernels.moe import moe_ffn
from tfcost_kernels.moe.reference import moe_reference
from tfcost_kernels.moe.routing import plan, route
from tfcost_kernels.moe.tiles import tiles_for

NAMES = ("out", "dx", "dw_router", "dw_gate", "dw_up", "dw_down")
# T, d, f, E, k
SPEED_SHAPES = (
    (32768, 4096, 14336, 8, 2),
    (32768, 4096, 4096, 8, 2),
    (32768, 2048, 1408, 64, 6),
    (4096, 4096, 14336, 8, 2),
)


def make(tokens: int, d: int, f: int, count: int, dtype: torch.dtype = torch.bfloat16) -> list[Tensor]:
    """x, w_router, w_gate, w_up, w_down, and the output's gradient."""
    torch.manual_seed(0)
    shapes = ((tokens, d), (count, d), (count, f, d), (count, f, d), (count, d, f), (tokens, d))
    scales = (1.0, d**-0.5, d**-0.5, d**-0.5, f**-0.5, 1.0)
    return [(torch.randn(s, device="cuda") * scale).to(dtype) for s, scale in zip(shapes, scales, strict=True)]


def check() -> Iterator[Case]:
    """Sizes off the tiles, few and many experts, every activation."""
    shapes = (
        (1, 64, 64, 4, 2),
        (63, 257, 100, 4, 2),
        (1000, 520, 776, 8, 2),
        (4097, 256, 384, 64, 6),
        (2000, 264, 1025, 3, 1),
    )
    for dtype, (tokens, d, f, count, k) in product((torch.bfloat16, torch.float16), shapes):
        yield partial(check_case, tokens, d, f, count, k, "silu", dtype)
    for activation in ("gelu", "relu"):
        yield partial(check_case, 777, 320, 192, 8, 2, activation, torch.bfloat16)
    yield partial(check_case, 129, 65, 97, 4, 2, "silu", torch.float32)


def check_case(
    tokens: int, d: int, f: int, count: int, k: int, activation: str, dtype: torch.dtype
) -> Row:  # fmt: skip
    """One case, the experts being those that the layer's router chose."""
    *inputs, grad = make(tokens, d, f, count, dtype)
    _, experts = route(*inputs[:2], k)
    with poisoned_outputs():
        got = gradients(partial(moe_ffn, k=k, activation=activation), inputs, grad)
    same, exact = (
        gradients(partial(moe_reference, experts=experts, activation=activation, dtype=to), inputs, grad)
        for to in (dtype, torch.float64)
    )
    case = {"T,d,f,E,k": (tokens, d, f, count, k), "activation": activation, "dtype": str(dtype)}
    return judge(case, NAMES, got, same, exact)


def speed() -> Iterator[Row]:
    """Per shape the whole layer in both directions, torch's forward, and every launch of grouped products."""
    for tokens, d, f, count, k in SPEED_SHAPES:
        *inputs, grad = make(tokens, d, f, count)
        flops = 2 * tokens * k * d * f
        row: dict[str, Any] = {"T,d,f,E,k": f"{tokens},{d},{f},{count},{k}"}
        with torch.no_grad():
            forward = median_ms(partial(moe_ffn, *inputs, k=k))
        leaves = [tensor.requires_grad_() for tensor in inputs]
        out = moe_ffn(*leaves, k=k)
        backward = median_ms(partial(torch.autograd.grad, out, leaves, grad, retain_graph=True))
        del out
        row |= {"forward_ms": forward, "backward_ms": backward}
        row |= {"forward": 3 * flops / forward / 1e9, "backward": 6 * flops / backward / 1e9}
        with torch.no_grad():
            experts = route(*inputs[:2], k)[1]
            row["torch_forward"] = 3 * flops / median_ms(partial(moe_reference, *inputs, experts=experts)) / 1e9
            for name, (times, launch) in products(inputs, grad, k).items():
                row[name] = times * flops / median_ms(launch) / 1e9
        yield row


def products(inputs: list[Tensor], grad: Tensor, k: int) -> dict[str, tuple[int, Callable[[], Any]]]:
    """How many products of T*k rows each launch makes, and the launch."""
    x, w_router, w_gate, w_up, w_down = inputs
    scale, chosen = route(x, w_router, k)
    tiles = tiles_for(x.element_size())
    settings = launchers.Settings(plan(chosen, w_router.shape[0], tiles.product.rows), k, "silu", tiles)
    hidden, _, _ = launchers.launch_gate_up(x, w_gate, w_up, settings, save=False)
    return {
        "gate_up": (2, partial(launchers.launch_gate_up, x, w_gate, w_up, settings, save=True)),
        "down": (1, partial(launchers.launch_down, hidden, w_down, scale, settings)),
        "dhidden": (1, partial(launchers.launch_dhidden, grad, w_down, settings)),
        "dx": (2, partial(launchers.launch_dx, hidden, hidden, w_gate, w_up, settings)),
        "weight_grad": (1, partial(launchers.launch_weight_grad, hidden, x, w_gate, (1, 2), settings)),
    }


if __name__ == "__main__":
    sys.exit(run(__doc__ or "", check, speed))
