"""Searches and writing to indexed places: bytes and additions counted by hand, elements of 4 bytes and indices of 8."""

from typing import Any

import pytest
import torch
from derive.rules.filing import Function, records, total

INDEX = torch.int64

# Function, shapes, dtypes, additions, bytes read, bytes written.
PLACES: list[tuple[Function, tuple[str, ...], list[Any], int, int, int]] = [
    (torch.searchsorted, ("9", "5"), [], 0, 36 + 20, 40),
    (torch.bucketize, ("5", "9"), [], 0, 20 + 36, 40),
    (torch.searchsorted, ("9", "5"), [INDEX, INDEX], 0, 72 + 40, 40),
    # Out of place, all of the target is read and all of the result written.
    (lambda a, i, b: a.scatter(1, i, b), ("3,9", "3,2", "3,2"), [None, INDEX], 0, 108 + 48 + 24, 108),
    (lambda a, i: a.scatter(1, i, 1.0), ("3,9", "3,2"), [None, INDEX], 0, 108 + 48, 108),
    (lambda a, i, b: a.scatter_add(1, i, b), ("3,9", "3,2", "3,2"), [None, INDEX], 6, 108 + 48 + 24, 108),
    (lambda a, i, b: a.index_add(0, i, b), ("9,4", "3", "3,4"), [None, INDEX], 12, 144 + 24 + 48, 144),
    (lambda a, i, b: a.index_copy(0, i, b), ("9,4", "3", "3,4"), [None, INDEX], 0, 144 + 24 + 48, 144),
    (lambda a, i, b: a.index_put([i], b), ("9,4", "3", "3,4"), [None, INDEX], 0, 144 + 24 + 48, 144),
    (lambda a, i, b: a.index_put([i], b, True), ("9,4", "3", "3,4"), [None, INDEX], 12, 144 + 24 + 48, 144),
    # In place, the places alone are written, and read where something is added to them.
    (lambda a, i, b: a.scatter_(1, i, b), ("3,9", "3,2", "3,2"), [None, INDEX], 0, 48 + 24, 24),
    (lambda a, i, b: a.scatter_add_(1, i, b), ("3,9", "3,2", "3,2"), [None, INDEX], 6, 48 + 24 + 24, 24),
    (lambda a, i, b: a.index_add_(0, i, b), ("9,4", "3", "3,4"), [None, INDEX], 12, 24 + 48 + 48, 48),
    (lambda a, i, b: a.index_copy_(0, i, b), ("9,4", "3", "3,4"), [None, INDEX], 0, 24 + 48, 48),
    (lambda a, i, b: a.index_put_([i], b), ("9,4", "3", "3,4"), [None, INDEX], 0, 24 + 48, 48),
    (lambda a, i, b: a.index_put_([i], b, True), ("9,4", "3", "3,4"), [None, INDEX], 12, 24 + 48 + 48, 48),
    # Sums of integers are index computation.
    (lambda a, i, b: a.index_add_(0, i, b), ("9", "3", "3"), [INDEX] * 3, 0, 24 + 24 + 24, 24),
]


@pytest.mark.parametrize(("function", "shapes", "dtypes", "added", "read", "written"), PLACES)
def test_places(
    function: Function, shapes: tuple[str, ...], dtypes: list[Any], added: int, read: int, written: int
) -> None:
    found = records(function, *shapes, dtypes=dtypes)
    amounts = [total(found, name) for name in ("scalar_flops", "read_bytes", "write_bytes")]
    assert amounts == [added, read, written]


def test_backward_of_a_lookup_adds_every_row_to_its_place() -> None:
    """A real backward pass: which operations autograd runs for x[index] and x.index_select, and their additions."""

    def gradient(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad((leaf[index] * 1).sum() + leaf.index_select(0, index).sum(), leaf)[0]

    found = records(gradient, "9,4", "3", dtypes=[None, INDEX])
    scattered = [record for record in found if record.name in ("aten.index_put", "aten.index_add", "aten.index_add_",
                                                              "aten.index_put_")]  # fmt: skip
    assert len(scattered) == 2
    assert total(scattered, "scalar_flops") == 2 * 12
