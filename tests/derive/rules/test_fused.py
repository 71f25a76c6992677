"""Torch's fused attention against torch's FLOP counter on the same attention written out."""

import torch
import torch.nn.functional as F
from derive.rules.filing import records, total
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

SHAPES = ("2,3,n,d", "2,3,m,d", "2,3,m,d")
POINTS = ({"n": 7, "m": 11, "d": 8}, {"n": 5, "m": 3, "d": 16})


def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.transpose(-2, -1), -1) @ v


def backward(do: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor) -> object:
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(do, q, k, v, o, lse, 0.0, False)


def count(point: dict[str, int]) -> int:
    shapes = [[point.get(size) or int(size) for size in shape.split(",")] for shape in SHAPES]
    with FlopCounterMode(display=False) as counter:
        written_out(*(torch.randn(shape) for shape in shapes))
    return counter.get_total_flops()


def test_the_products_are_those_of_attention_written_out() -> None:
    found = records(F.scaled_dot_product_attention, *SHAPES, sizes=("n", "m", "d"))
    for point in POINTS:
        assert total(found, "matmul_flops", **point) == count(point)


def test_the_backward_pass_makes_five_products_where_the_forward_makes_two() -> None:
    queries, keys = SHAPES[0], SHAPES[1]
    found = records(backward, queries, queries, keys, keys, queries, "2,3,n", sizes=("n", "m", "d"))
    for point in POINTS:
        assert 2 * total(found, "matmul_flops", **point) == 5 * count(point)
