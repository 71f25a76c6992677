"""Gather attention on a CUDA GPU: is it right, and how fast beside FlexAttention on the same blocks.

Run: `python tests/gpu/check_gather.py --output gather.json`; `tfcost_kernels` must be importable. Exits 1 if a result
is wrong. TFLOP/s count 4·d_h per listed pair forward and 2.5 times that backward. `flex` is FlexAttention (compiled)
with a block mask of the same lists, at its own block size of 128; `sdpa_ms` is torch's attention to all keys.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from checking import Case, Row, gradients, judge, median_ms, poisoned_outputs, run
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from tfcost_kernels.gather import gather_attention
from tfcost_kernels.gather.reference import gather_reference

NAMES = ("o", "dq", "dk", "dv")
# b, h, h_kv, n, d_h, block, listed
SPEED_SHAPES = (
    (1, 16, 16, 16384, 128, 64, 16), (1, 16, 16, 16384, 128, 128, 8), (1, 32, 4, 32768, 128, 64, 16),
    (1, 32, 4, 32768, 128, 128, 8), (1, 12, 12, 16384, 64, 64, 16), (1, 12, 12, 16384, 64, 128, 8),
)  # fmt: skip


def make(b: int, h: int, h_kv: int, n: int, m: int, d_h: int, dtype: torch.dtype = torch.bfloat16) -> list[Tensor]:
    """q, k, v, dO."""
    torch.manual_seed(0)
    shapes = ((b, h, n, d_h), (b, h_kv, m, d_h), (b, h_kv, m, d_h), (b, h, n, d_h))
    return [torch.randn(shape, device="cuda").to(dtype) for shape in shapes]


def check() -> Iterator[Case]:
    """Lengths off the blocks, every block and head width, groups; lists with repeats and numbers out of range."""
    for block, causal in product((64, 128), (False, True)):
        for n, m, d_h, h_kv in ((1, 1, 64, 4), (63, 65, 128, 2), (1000, 777, 64, 2), (1025, 2049, 128, 1)):
            yield partial(check_case, n, m, d_h, 4, h_kv, block, torch.bfloat16, causal)
    for block, d_h in ((16, 64), (32, 128), (64, 256), (128, 16)):
        yield partial(check_case, 500, 700, d_h, 4, 2, block, torch.float16, True)
    yield partial(check_case, 129, 129, 64, 2, 1, 32, torch.float32, True)


def check_case(
    n: int, m: int, d_h: int, h: int, h_kv: int, block: int, dtype: torch.dtype, causal: bool
) -> Row:  # fmt: skip
    """One case."""
    *inputs, grad = make(2, h, h_kv, n, m, d_h, dtype)
    index = torch.randint(-1, -(-m // block) + 1, (2, h_kv, -(-n // block), 5), dtype=torch.int32, device="cuda")
    options = {"index": index, "block": block, "causal": causal}
    with poisoned_outputs():
        got = gradients(partial(gather_attention, **options), inputs, grad)
    same, exact = (
        gradients(partial(gather_reference, **options, dtype=to), inputs, grad) for to in (dtype, torch.float64)
    )
    case = {"n": n, "m": m, "d_h": d_h, "h": h, "h_kv": h_kv, "block": block, "dtype": str(dtype), "causal": causal}
    return judge(case, NAMES, got, same, exact)


def flex(index: Tensor, blocks: int, block: int) -> Callable[..., Tensor]:
    """FlexAttention to the same distinct blocks, unmasked."""
    padded = index.new_zeros((*index.shape[:3], blocks))
    padded[..., : index.shape[-1]] = index
    counts = torch.full(index.shape[:3], index.shape[-1], dtype=torch.int32, device=index.device)
    mask = BlockMask.from_kv_blocks(torch.zeros_like(counts), padded, counts, padded, BLOCK_SIZE=block)
    return partial(torch.compile(flex_attention), block_mask=mask)


def speed() -> Iterator[Row]:
    """TFLOP/s and milliseconds of each implementation, forward and backward, bf16."""
    for b, h, h_kv, n, d_h, block, listed in SPEED_SHAPES:
        *inputs, grad = make(b, h, h_kv, n, n, d_h)
        index = torch.rand(b, h_kv, n // block, n // block, device="cuda").topk(listed).indices.sort(-1).values.int()
        implementations: dict[str, Callable[..., Tensor]] = {
            "gather": partial(gather_attention, index=index, block=block)
        }
        if block == 128 and h == h_kv:
            implementations["flex"] = flex(index, n // block, block)
        flops = 4 * d_h * b * h * n * listed * block
        row: dict[str, Any] = {"b,h,h_kv,n,d_h,block,listed": f"{b},{h},{h_kv},{n},{d_h},{block},{listed}"}
        for name, attend in implementations.items():
            with torch.no_grad():
                forward = median_ms(partial(attend, *inputs))
            leaves = [tensor.detach().requires_grad_() for tensor in inputs]
            backward = median_ms(partial(torch.autograd.grad, attend(*leaves), leaves, grad, retain_graph=True))
            row |= {f"{name}_forward_ms": forward, f"{name}_backward_ms": backward}
            row |= {f"{name}_forward": flops / forward / 1e9, f"{name}_backward": 2.5 * flops / backward / 1e9}
        with torch.no_grad():
            sdpa = partial(F.scaled_dot_product_attention, enable_gqa=h != h_kv)
            row["sdpa_ms"] = median_ms(partial(sdpa, *inputs))
        yield row


if __name__ == "__main__":
    sys.exit(run(__doc__ or "", check, speed))
