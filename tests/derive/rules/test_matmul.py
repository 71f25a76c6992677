"""Matrix products and convolutions against torch's FLOP counter."""

import pytest
import torch
import torch.nn.functional as F
from derive.rules.filing import Function, records, total
from torch.utils.flop_counter import FlopCounterMode

PRODUCTS: list[tuple[Function, tuple[str, ...]]] = [
    (lambda a, b: a @ b, ("n,3", "3,d")),
    (lambda a, b: a @ b, ("2,n,3", "2,3,d")),
    (lambda a, b: a @ b, ("2,5,n,3", "2,5,3,d")),
    (lambda a, b: a @ b, ("2,n,3", "3,d")),
    (lambda a, b: a @ b.t(), ("n,d", "7,d")),
    (F.linear, ("2,n,d", "7,d")),
    (F.linear, ("n,d", "7,d", "7")),
    (torch.addmm, ("d", "n,6", "6,d")),
    (torch.baddbmm, ("2,n,d", "2,n,6", "2,6,d")),
    (lambda a, b: torch.einsum("bnd,bmd->bnm", a, b), ("3,n,d", "3,4,d")),
    (lambda a, b: torch.einsum("nd,nd->n", a, b), ("n,d", "n,d")),
    (F.conv1d, ("2,d,20", "9,d,3")),
    (lambda a, b, c: F.conv1d(a, b, c, stride=2, padding=1), ("2,d,20", "9,d,3", "9")),
    (lambda a, b: F.conv2d(a, b, dilation=2), ("n,4,11,12", "d,4,2,3")),
    (lambda a, b: F.conv1d(a, b, groups=4), ("n,4,20", "8,1,3")),
    (lambda a, b: F.conv_transpose1d(a, b, stride=2), ("2,d,20", "d,9,3")),
    (lambda a, b: F.conv_transpose1d(a, b, groups=2), ("2,6,n", "6,5,4")),
]


@pytest.mark.parametrize(("function", "shapes"), PRODUCTS)
def test_products_count_as_torch_counts_them(function: Function, shapes: tuple[str, ...]) -> None:
    found = records(function, *shapes, sizes=("n", "d"))
    for point in ({"n": 11, "d": 5}, {"n": 4, "d": 16}):
        real = [torch.randn([point.get(size) or int(size) for size in shape.split(",")]) for shape in shapes]
        with FlopCounterMode(display=False) as counter:
            function(*real)
        assert counter.get_total_flops() > 0
        assert total(found, "matmul_flops", **point) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("function", "shapes", "flops"),
    [
        (lambda a, b: a @ b, ("n,d", "d"), 2 * 7 * 3),
        (lambda a, b: a @ b, ("n", "n"), 2 * 7),
        (lambda a, b: a @ b, ("d", "d,n"), 2 * 7 * 3),
        (torch.addmv, ("n", "n,d", "d"), 2 * 7 * 3),
        (lambda a, b: torch.outer(a, b), ("n", "d"), 0),
    ],
)
def test_products_with_vectors(function: Function, shapes: tuple[str, ...], flops: int) -> None:
    """These torch does not count: a multiplication and an addition per term; an outer product has no sums."""
    assert total(records(function, *shapes, sizes=("n", "d")), "matmul_flops", n=7, d=3) == flops


def test_a_bias_is_added_once_per_result() -> None:
    for function, shapes, results in (
        (F.linear, ("7,3", "5,3", "5"), 7 * 5),
        (torch.baddbmm, ("2,7,5", "2,7,3", "2,3,5"), 2 * 7 * 5),
        (F.conv1d, ("2,3,9", "4,3,2", "4"), 2 * 4 * 8),
        (torch.addmv, ("7", "7,3", "3"), 7),
    ):
        assert total(records(function, *shapes), "scalar_flops") == results
