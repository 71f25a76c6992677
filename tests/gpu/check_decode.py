"""Decode attention on a CUDA GPU: is it right, and what share of a copy's bandwidth does reading the cache reach.

Run: `python tests/gpu/check_decode.py --output decode.json`; `tfcost_kernels` must be importable. Exits 1 if a result
is wrong. GB/s count K and V once. Every shape is timed with several splits; `torch` is SDPA on the same cache.
"""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from checking import Case, Row, copy_bandwidth, judge, median_ms, poisoned_outputs, run
from torch import Tensor

from tfcost_kernels.decode import decode_attention
from tfcost_kernels.decode.reference import decode_reference

# b, h, h_kv, m, d_h
SPEED_SHAPES = (
    (1, 32, 8, 131072, 128), (8, 32, 8, 8192, 128), (32, 32, 8, 8192, 128), (64, 64, 8, 4096, 128),
    (16, 16, 16, 8192, 64), (128, 32, 4, 2048, 128), (1, 32, 8, 4096, 128),
)  # fmt: skip
SPLITS = (1, 2, 4, 8, 16, 32, 64, 128)


def make(b: int, h: int, h_kv: int, capacity: int, d_h: int, dtype: torch.dtype = torch.bfloat16) -> list[Tensor]:
    """q and the caches."""
    torch.manual_seed(0)
    shapes = ((b, h, 1, d_h), (b, h_kv, capacity, d_h), (b, h_kv, capacity, d_h))
    return [torch.randn(shape, device="cuda").to(dtype) for shape in shapes]


def check() -> Iterator[Case]:
    """Odd lengths, windows, every head width, groups of up to two tiles of rows; unused rows of the caches are NaN."""
    lengths = ((1, 0), (63, 0), (65, 64), (1000, 0), (4097, 0), (4097, 3001), (20001, 0))
    for dtype, (m, first), splits in product((torch.bfloat16, torch.float16), lengths, (1, 7, 64)):
        yield partial(check_case, 3, 8, 2, m, 128, first, splits, dtype)
    for d_h, (h, h_kv) in product((16, 32, 64, 128, 256), ((4, 4), (32, 4), (40, 2))):
        yield partial(check_case, 2, h, h_kv, 1001, d_h, 0, 5, torch.bfloat16)
    yield partial(check_case, 2, 4, 2, 129, 64, 0, 3, torch.float32)


def check_case(
    b: int, h: int, h_kv: int, m: int, d_h: int, first: int, splits: int, dtype: torch.dtype
) -> Row:  # fmt: skip
    """One case."""
    q, k, v = make(b, h, h_kv, m + 100, d_h, dtype)
    for cache in (k, v):
        cache[:, :, :first] = float("nan")
        cache[:, :, m:] = float("nan")
    with poisoned_outputs():
        got = decode_attention(q, k, v, m, splits=splits, first=first)
    same, exact = (decode_reference(q, k, v, m, first=first, dtype=to) for to in (dtype, torch.float64))
    case = {"h": h, "h_kv": h_kv, "m": m, "d_h": d_h, "first": first, "splits": splits, "dtype": str(dtype)}
    return judge(case, ["o"], [got], [same], [exact])


def speed() -> Iterator[Row]:
    """The best split of each shape beside torch, and the milliseconds of every split."""
    copy = copy_bandwidth()
    yield {"copy_GB_per_s": copy / 1e9}
    for b, h, h_kv, m, d_h in SPEED_SHAPES:
        q, k, v = make(b, h, h_kv, m, d_h)
        size = 2 * k.numel() * k.element_size()
        times = {splits: median_ms(partial(decode_attention, q, k, v, m, splits=splits)) for splits in SPLITS}
        best = min(times, key=times.__getitem__)
        torch_ms = median_ms(partial(F.scaled_dot_product_attention, q, k, v, enable_gqa=True))
        row: dict[str, Any] = {"b,h,h_kv,m,d_h": f"{b},{h},{h_kv},{m},{d_h}", "splits": best, "ms": times[best]}
        row |= {"GB_per_s": size / times[best] / 1e6, "of_copy": size / times[best] * 1e3 / copy}
        row |= {"torch_ms": torch_ms, "all_ms": " ".join(f"{s}:{t:.4f}" for s, t in times.items())}
        yield row


if __name__ == "__main__":
    sys.exit(run(__doc__ or "", check, speed))
