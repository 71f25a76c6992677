"""Operations that move, make or index data: bytes counted by hand, elements of 4 bytes and indices of 8."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from derive.rules.filing import Function, records, total

aten = torch.ops.aten

# Function, shapes, dtypes, bytes read, bytes written.
MOVES: list[tuple[Function, tuple[str, ...], list[Any], int, int]] = [
    (lambda a: a.clone(), ("3,4",), [], 48, 48),
    (lambda a: a.t().contiguous(), ("3,4",), [], 48, 48),
    (lambda a, b: torch.cat([a, b]), ("3,4", "2,4"), [], 80, 80),
    (lambda a, b: torch.stack([a, b]), ("3,4", "3,4"), [], 96, 96),
    (lambda a: a.repeat(2, 1), ("3,4",), [], 48, 96),
    (lambda a: a.roll(1), ("3,4",), [], 48, 48),
    (lambda a: a.flip(0), ("3,4",), [], 48, 48),
    (lambda a: F.pad(a, (1, 1)), ("3,4",), [], 48, 72),
    (lambda a: a.double(), ("3,4",), [], 48, 96),
    (lambda a: torch.zeros_like(a), ("3,4",), [], 0, 48),
    (lambda a: torch.empty_like(a), ("3,4",), [], 0, 0),
    (lambda a: torch.ones(2, 3) if a is not None else a, ("1",), [], 0, 24),
    (lambda a: torch.arange(5) if a is not None else a, ("1",), [], 0, 40),
    (lambda a: a.zero_(), ("3,4",), [], 0, 48),
    (lambda a: a.fill_(2.0), ("3,4",), [], 0, 48),
    (lambda a, b: a.copy_(b), ("3,4", "3,4"), [], 48, 48),
    (lambda a, b: a.copy_(b), ("3,4", "4"), [], 16, 48),
    (lambda a: a.masked_fill(a > 0, 1.0), ("3,4",), [], 48 + (48 + 12), 12 + 48),
    (lambda a: a.tril(), ("3,4",), [], 48, 48),
    (lambda a, b: F.embedding(b, a), ("100,4", "6"), [None, torch.int64], 6 * 16 + 48, 6 * 16),
    (lambda a, b: a.index_select(0, b), ("100,4", "6"), [None, torch.int64], 6 * 16 + 48, 6 * 16),
    (lambda a, b: a[b], ("100,4", "6"), [None, torch.int64], 6 * 16 + 48, 6 * 16),
    (lambda a, b: a.gather(1, b), ("3,9", "3,2"), [None, torch.int64], 6 * 4 + 48, 24),
    (lambda a: aten.slice_backward(a, [8, 4], 0, 1, 4, 1), ("3,4",), [], 48, 128),
    (lambda a: aten.select_backward(a, [8, 4], 0, 1), ("4",), [], 16, 128),
    (lambda a, b: aten.nll_loss_forward(a, b, None, 1, -100)[0], ("6,50", "6"), [None, torch.int64], 6 * 12, 8),
]


@pytest.mark.parametrize(("function", "shapes", "dtypes", "read", "written"), MOVES)
def test_movement(function: Function, shapes: tuple[str, ...], dtypes: list[Any], read: int, written: int) -> None:
    found = records(function, *shapes, dtypes=dtypes)
    assert (total(found, "read_bytes"), total(found, "write_bytes")) == (read, written)


def test_scattered_gradients_are_added_up() -> None:
    function = lambda g, i: aten.embedding_dense_backward(g, i, 100, -1, False)  # noqa: E731
    found = records(function, "6,4", "6", dtypes=[None, torch.int64])
    assert total(found, "scalar_flops") == 24
    assert total(found, "write_bytes") == 100 * 4 * 4
