"""Collectives of 4 GPUs, counted by hand: bytes given, additions, bytes of memory, elements of 4 bytes."""

from collections.abc import Callable

import pytest
import torch
from derive.rules.filing import records, total

from tfcost import collectives
from tfcost.collectives import Group

GROUP = Group("G", 4)
Collective = Callable[[torch.Tensor], object]

# Name, the collective of x [8, 3], bytes given, additions (those of one sum shared out over the GPUs), read, written.
CASES: list[tuple[str, Collective, int, int, int, int]] = [
    ("all_reduce_", lambda x: collectives.all_reduce_(x, GROUP), 96, 18, 96, 96),
    ("all_reduce_max_", lambda x: collectives.all_reduce_max_(x, GROUP), 96, 18, 96, 96),
    ("all_gather", lambda x: collectives.all_gather(x, GROUP), 384, 0, 96, 384),
    # Of its own part, which it reads, it has no need to be sent.
    ("all_gather_", lambda x: collectives.all_gather_(x, GROUP), 96, 0, 24, 72),
    ("reduce_scatter", lambda x: collectives.reduce_scatter(x, GROUP), 96, 18, 96, 24),
    ("all_to_all", lambda x: collectives.all_to_all(x, GROUP), 96, 0, 96, 96),
    ("shift", lambda x: collectives.shift(x, GROUP), 96, 0, 96, 96),
    ("send", lambda x: (collectives.send(x, GROUP, 1), x)[1], 96, 0, 96, 0),
    ("receive_", lambda x: collectives.receive_(x, GROUP, 1), 0, 0, 0, 96),
]


@pytest.mark.parametrize(
    ("name", "function", "given", "added", "read", "written"), CASES, ids=[one[0] for one in CASES]
)
def test_amounts(name: str, function: Collective, given: int, added: int, read: int, written: int) -> None:
    (found,) = records(function, "8,3")
    assert (found.name, found.group) == (f"tfcost.{name}", "G")
    amounts = [total([found], one) for one in ("communicated_bytes", "scalar_flops", "read_bytes", "write_bytes")]
    assert amounts == [given, added, read, written]
    assert total([found], "collectives") == (1 if given else 0)
    assert "test_collectives.py" in found.label.location


def test_rows_that_do_not_split_are_refused() -> None:
    for function in (collectives.reduce_scatter, collectives.all_to_all, collectives.all_gather_):
        with pytest.raises(ValueError, match="7 rows do not split over 4 GPUs"):
            function(torch.zeros(7, 2), GROUP)
