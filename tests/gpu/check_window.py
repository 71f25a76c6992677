"""The window family on a CUDA GPU: is it right, and how fast is it beside FlexAttention with the same mask.

Run: `python tests/gpu/check_window.py --output window.json`; `tfcost_kernels` must be importable. Exits 1 if a result
is wrong. TFLOP/s are algorithmic: 4*d_h per allowed pair forward, 2.5 times that backward, whatever is executed.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
from checking import Case, Row, gradients, judge, median_ms, poisoned_outputs, run
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from tfcost_kernels import window
from tfcost_kernels.window import reference

# name and numbers of a pattern: w; c; w, r; s; w, g
PATTERNS = (
    ("window", (100,)), ("window", (0,)), ("window", (5000,)), ("block_local", (128,)), ("block_local", (300,)),
    ("dilated", (50, 3)), ("dilated", (20, 16)), ("strided", (32,)), ("strided", (101,)), ("longformer", (100, 17)),
    ("longformer", (64, 200)),
)  # fmt: skip
SPEED_SHAPE = (1, 12, 16384, 64)
SPEED_PATTERNS = (
    ("window", (512,)), ("block_local", (512,)), ("dilated", (128, 4)), ("strided", (128,)), ("longformer", (256, 64)),
)  # fmt: skip


def random_inputs(b: int, h: int, h_kv: int, n: int, m: int, d_h: int, dtype: torch.dtype) -> list[Tensor]:
    """q, k, v, dO."""
    torch.manual_seed(0)
    shapes = ((b, h, n, d_h), (b, h_kv, m, d_h), (b, h_kv, m, d_h), (b, h, n, d_h))
    return [torch.randn(shape, device="cuda").to(dtype) for shape in shapes]


def attention(pattern: str, numbers: tuple[int, ...], causal: bool) -> Callable[..., Tensor]:
    """The kernels' function of q, k, v."""
    function = getattr(window, f"{pattern}_attention")
    return lambda q, k, v: function(q, k, v, *numbers, causal=causal)


def check() -> Iterator[Case]:
    """Odd lengths, more and fewer keys than queries, grouped heads, both head widths and half types."""
    for (pattern, numbers), causal, (n, m) in product(PATTERNS, (False, True), ((1, 1), (1000, 1000), (2049, 2049))):
        yield partial(check_case, pattern, numbers, causal, n, m, 64, torch.bfloat16)
    for (pattern, numbers), causal, (n, m) in product(PATTERNS, (False, True), ((300, 1000), (1000, 300))):
        yield partial(check_case, pattern, numbers, causal, n, m, 128, torch.float16)
    for pattern, numbers in PATTERNS:
        for d_h in (16, 32, 128, 256):
            yield partial(check_case, pattern, numbers, True, 700, 700, d_h, torch.bfloat16)
        yield partial(check_case, pattern, numbers, False, 129, 129, 64, torch.float32)


def check_case(
    pattern: str, numbers: tuple[int, ...], causal: bool, n: int, m: int, d_h: int, dtype: torch.dtype
) -> Row:
    """One case: four heads on two key/value heads."""
    *inputs, grad = random_inputs(1, 4, 2, n, m, d_h, dtype)
    allowed = getattr(reference, pattern)(*numbers, causal)
    with poisoned_outputs():
        got = gradients(attention(pattern, numbers, causal), inputs, grad)
    same, exact = (
        gradients(partial(reference.masked_attention, predicate=allowed, dtype=to), inputs, grad)
        for to in (dtype, torch.float64)
    )
    case = {"pattern": pattern, "numbers": numbers, "causal": causal, "n": n, "m": m, "d_h": d_h, "dtype": str(dtype)}
    return judge(case, ("o", "dq", "dk", "dv"), got, same, exact)


def allowed_pairs(allowed: reference.Predicate, n: int) -> int:
    """How many pairs the mask allows, counted row by row."""
    j = torch.arange(n, device="cuda")[None, :]
    return sum(int(allowed(i[:, None], j, n, n).sum()) for i in torch.arange(n, device="cuda").split(1024))


def times(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, do: Tensor) -> tuple[float, float]:
    """Milliseconds forward and backward."""
    with torch.no_grad():
        forward = median_ms(lambda: attend(q, k, v))
    leaves = [tensor.detach().requires_grad_() for tensor in (q, k, v)]
    o = attend(*leaves)
    return forward, median_ms(lambda: torch.autograd.grad(o, leaves, do, retain_graph=True))


def speed() -> Iterator[Row]:
    """Each pattern beside FlexAttention."""
    b, h, n, d_h = SPEED_SHAPE
    inputs = random_inputs(b, h, h, n, n, d_h, torch.bfloat16)
    for (pattern, numbers), causal in product(SPEED_PATTERNS, (True, False)):
        allowed = getattr(reference, pattern)(*numbers, causal)
        torch._dynamo.reset()  # after a few masks it would compile no more
        compiled = torch.compile(flex_attention, dynamic=False)
        mask = create_block_mask(partial(_flex_mask, allowed, n), None, None, n, n, device="cuda")
        flops = 4 * d_h * b * h * allowed_pairs(allowed, n)
        ours = times(attention(pattern, numbers, causal), *inputs)
        flex = times(partial(compiled, block_mask=mask), *inputs)
        yield {
            "pattern": pattern, "numbers": numbers, "mask": "causal" if causal else "full",
            "forward_ms": ours[0], "flex_forward_ms": flex[0], "backward_ms": ours[1], "flex_backward_ms": flex[1],
            "forward_tflops": flops / ours[0] / 1e9, "backward_tflops": 2.5 * flops / ours[1] / 1e9,
            "forward_speedup": flex[0] / ours[0], "backward_speedup": flex[1] / ours[1],
        }  # fmt: skip


def _flex_mask(allowed: reference.Predicate, n: int, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
    return allowed(i, j, n, n)


if __name__ == "__main__":
    sys.exit(run(__doc__, check, speed))
