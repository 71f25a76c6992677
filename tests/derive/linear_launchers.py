"""Runs linear attention on random fp16 tensors, with small tiles, for Triton's interpreter to count its launches."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from tfcost_kernels.linear import causal_linear_attention, linear_attention
from tfcost_kernels.linear.tiles import Tile, Tiles, Walk

WIDTH = 16


def attend(q: Tensor, k: Tensor, v: Tensor, causal: bool, tile: tuple[int, int, int]) -> Tensor:
    """Linear attention with (rows, step, segment) for all kernels."""
    rows, step, segment = tile
    one, walk = Tile(rows, step, 4, 1), Walk(step, 4, 1)
    function: Any = partial(causal_linear_attention, c=segment) if causal else linear_attention
    o: Tensor = function(q, k, v, tiles=Tiles(segment, walk, one, walk, one, one))
    return o


def run(causal: bool, tile: list[int], mode: str, b: int, h_kv: int, r: int, n: int, m: int) -> None:
    """The pass "forward" without gradients, "training" with, "both" with the backward pass after it."""
    shapes = (b, h_kv * r, n, WIDTH), (b, h_kv, m, WIDTH), (b, h_kv, m, WIDTH)
    leaves = [torch.randn(shape).half().requires_grad_(mode != "forward") for shape in shapes]
    o = attend(*leaves, causal=causal, tile=(tile[0], tile[1], tile[2]))
    if mode == "both":
        o.backward(torch.randn_like(o))
