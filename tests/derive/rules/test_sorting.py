"""Sorting and the largest k against the same done digit by digit, every look at a digit counted."""

import struct

import pytest
import torch
from derive.rules.filing import records, total


class Digits:
    """The bytes of single-precision numbers, the most significant first, so that they order as the numbers do."""

    def __init__(self) -> None:
        self.looks = 0

    def of(self, number: float, level: int) -> int:
        self.looks += 1
        bits = struct.unpack(">I", struct.pack(">f", number))[0]
        ordered = bits ^ (0xFFFFFFFF if bits >> 31 else 0x80000000)
        return ordered >> (24 - 8 * level) & 0xFF


def radix_sorted(numbers: list[float], digits: Digits) -> list[float]:
    for level in (3, 2, 1, 0):
        buckets: list[list[float]] = [[] for _ in range(256)]
        for number in numbers:
            buckets[digits.of(number, level)].append(number)
        numbers = [number for bucket in buckets for number in bucket]
    return numbers


def radix_selected(numbers: list[float], k: int, digits: Digits) -> list[float]:
    """The k largest, in no order. Every level looks at all numbers again, also at those decided before."""
    chosen: list[float] = []
    open_ones = list(range(len(numbers)))
    for level in range(4):
        here = [digits.of(number, level) for number in numbers]
        for digit in range(255, -1, -1):
            bucket = [place for place in open_ones if here[place] == digit]
            if len(chosen) + len(bucket) > k:
                open_ones = bucket
                break
            chosen += [numbers[place] for place in bucket]
        else:
            open_ones = []
    return chosen + [numbers[place] for place in open_ones[: k - len(chosen)]]


@pytest.fixture
def numbers() -> torch.Tensor:
    return torch.randn(3, 20, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("stable", [False, True])
def test_sort(numbers: torch.Tensor, stable: bool) -> None:
    digits = Digits()
    assert [radix_sorted(row, digits) for row in numbers.tolist()] == numbers.sort(stable=stable).values.tolist()
    found = records(lambda a: a.sort(stable=stable)[0], "3,n", sizes=("n",))
    assert total(found, "scalar_flops", n=20) == digits.looks
    assert (total(found, "read_bytes", n=20), total(found, "write_bytes", n=20)) == (3 * 20 * 4, 3 * 20 * 12)


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_largest(numbers: torch.Tensor, k: int, in_order: bool) -> None:
    digits = Digits()
    for row in numbers:
        chosen = radix_selected(row.tolist(), k, digits)
        wanted = row.topk(k, sorted=in_order).values.tolist()
        assert (radix_sorted(chosen, digits)[::-1] if in_order else sorted(chosen)) == (
            wanted if in_order else sorted(wanted)
        )
    found = records(lambda a: a.topk(k, sorted=in_order)[0], "3,n", sizes=("n",))
    assert total(found, "scalar_flops", n=20) == digits.looks
    assert (total(found, "read_bytes", n=20), total(found, "write_bytes", n=20)) == (3 * 20 * 4, 3 * k * 12)


def test_integers_are_sorted_by_index_computation() -> None:
    for function in (lambda a: a.sort()[0], lambda a: a.topk(2)[0]):
        found = records(function, "7", dtypes=[torch.int64])
        assert total(found, "scalar_flops") == 0
        assert total(found, "read_bytes") == 7 * 8
