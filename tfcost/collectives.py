"""What several GPUs do together: all-reduce, all-gather, reduce-scatter, all-to-all, sending and receiving.

Each is one operation. With `connected` processes it calls torch.distributed; under a derivation it is filed by the
rules in `derive/rules/collectives.py`, with sizes and the number of GPUs symbolic. Buffers are split and joined along
their first dimension; sizes that do not divide are ValueErrors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

_PROCESSES: dict[str, dist.ProcessGroup] = {}
# What was sent and has not arrived yet.
_sending: list[tuple[Tensor, dist.Work]] = []


@dataclass(frozen=True, slots=True)
class Group:
    """GPUs that split one thing among them: the `symbol` of their number, that number, and which of them this is."""

    symbol: str
    size: int
    rank: int = 0


@contextmanager
def connected(symbol: str, processes: dist.ProcessGroup) -> Iterator[Group]:
    """For the block, collectives over `symbol` run on `processes`; gives this process's `Group`."""
    _PROCESSES[symbol] = processes
    try:
        yield Group(symbol, dist.get_world_size(processes), dist.get_rank(processes))
    finally:
        del _PROCESSES[symbol]


def group_of(symbol: str, size: int) -> Group:
    """The group of `size` GPUs that this process is connected to under `symbol`; its first member where there is none,
    as in a derivation.
    """
    return Group(symbol, size, dist.get_rank(_PROCESSES[symbol]) if symbol in _PROCESSES else 0)


def all_reduce_(x: Tensor, group: Group) -> Tensor:
    """The sum of every GPU's x, in place of it on every GPU."""
    torch.ops.tfcost.all_reduce_(x, group.symbol, group.size)
    return x


def all_reduce_max_(x: Tensor, group: Group) -> Tensor:
    """The elementwise maximum of every GPU's x, in place of it on every GPU."""
    torch.ops.tfcost.all_reduce_max_(x, group.symbol, group.size)
    return x


def all_gather(x: Tensor, group: Group, rows: int | None = None) -> Tensor:
    """Every GPU's x, one after the other: [p·r, ...] for x [r, ...]. `rows` says p·r in the caller's own sizes."""
    result: Tensor = torch.ops.tfcost.all_gather(x, group.symbol, group.size, _or(rows, x.shape[0] * group.size))
    return result


def all_gather_(x: Tensor, group: Group) -> Tensor:
    """Every GPU's own part of x [p·r, ...], part i being GPU i's, in place of x."""
    torch.ops.tfcost.all_gather_(x, group.symbol, group.size)
    return x


def reduce_scatter(x: Tensor, group: Group, rows: int | None = None) -> Tensor:
    """The sum of every GPU's x, of it the part of this one: [r, ...] for x [p·r, ...]. `rows` is r, if given."""
    result: Tensor = torch.ops.tfcost.reduce_scatter(x, group.symbol, group.size, _or(rows, x.shape[0] // group.size))
    return result


def all_to_all(x: Tensor, group: Group) -> Tensor:
    """Part i of x [p·r, ...] is sent to GPU i; returns what all sent to this one, in their order, [p·r, ...]."""
    result: Tensor = torch.ops.tfcost.all_to_all(x, group.symbol, group.size)
    return result


def shift(x: Tensor, group: Group, places: int = 1) -> Tensor:
    """Sends x to the GPU that many `places` further in the ring and returns what came from as many before, of x's
    shape.
    """
    result: Tensor = torch.ops.tfcost.shift(x, group.symbol, group.size, places)
    return result


def send(x: Tensor, group: Group, to: int) -> None:
    """Sends x to GPU `to` of the group."""
    torch.ops.tfcost.send(x, group.symbol, group.size, to)


def receive_(x: Tensor, group: Group, sender: int) -> Tensor:
    """What GPU `sender` sent, in place of x."""
    torch.ops.tfcost.receive_(x, group.symbol, group.size, sender)
    return x


def _or(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def _check_parts(x: Tensor, size: int) -> None:
    if x.shape[0] % size:
        raise ValueError(f"{x.shape[0]} rows do not split over {size} GPUs")


@torch.library.custom_op("tfcost::all_reduce_", mutates_args=("x",))
def _all_reduce(x: Tensor, group: str, size: int) -> None:
    dist.all_reduce(x, group=_PROCESSES[group])


@torch.library.custom_op("tfcost::all_reduce_max_", mutates_args=("x",))
def _all_reduce_max(x: Tensor, group: str, size: int) -> None:
    dist.all_reduce(x, dist.ReduceOp.MAX, group=_PROCESSES[group])


@torch.library.custom_op("tfcost::all_gather", mutates_args=())
def _all_gather(x: Tensor, group: str, size: int, rows: int) -> Tensor:
    if rows != x.shape[0] * size:
        raise ValueError(f"{size} GPUs with {x.shape[0]} rows each do not have {rows} rows")
    out = x.new_empty(rows, *x.shape[1:])
    dist.all_gather_single(out, x.contiguous(), group=_PROCESSES[group])
    return out


@torch.library.custom_op("tfcost::all_gather_", mutates_args=("x",))
def _all_gather_in_place(x: Tensor, group: str, size: int) -> None:
    _check_parts(x, size)
    own = x.chunk(size)[dist.get_rank(_PROCESSES[group])]
    dist.all_gather_single(x, own, group=_PROCESSES[group])


@torch.library.custom_op("tfcost::reduce_scatter", mutates_args=())
def _reduce_scatter(x: Tensor, group: str, size: int, rows: int) -> Tensor:
    _check_parts(x, size)
    if rows * size != x.shape[0]:
        raise ValueError(f"{x.shape[0]} rows over {size} GPUs are not {rows} rows each")
    out = x.new_empty(rows, *x.shape[1:])
    dist.reduce_scatter_single(out, x.contiguous(), group=_PROCESSES[group])
    return out


@torch.library.custom_op("tfcost::all_to_all", mutates_args=())
def _all_to_all(x: Tensor, group: str, size: int) -> Tensor:
    _check_parts(x, size)
    out = x.new_empty(x.shape)
    dist.all_to_all_single(out, x.contiguous(), group=_PROCESSES[group])
    return out


@torch.library.custom_op("tfcost::shift", mutates_args=())
def _shift(x: Tensor, group: str, size: int, places: int) -> Tensor:
    processes, out = _PROCESSES[group], x.new_empty(x.shape)
    rank = dist.get_rank(processes)
    there, back = (dist.get_global_rank(processes, (rank + step) % size) for step in (places, -places))
    pair = [dist.P2POp(dist.isend, x.contiguous(), there, processes), dist.P2POp(dist.irecv, out, back, processes)]
    for request in dist.batch_isend_irecv(pair):
        request.wait()
    return out


@torch.library.custom_op("tfcost::send", mutates_args=())
def _send(x: Tensor, group: str, size: int, to: int) -> None:
    # Two neighbours may send to each other at once: nobody waits for the other to receive.
    processes, x = _PROCESSES[group], x.contiguous()
    message = dist.P2POp(dist.isend, x, dist.get_global_rank(processes, to), processes)
    _sending[:] = [(kept, request) for kept, request in _sending if not request.is_completed()]
    _sending.extend((x, request) for request in dist.batch_isend_irecv([message]) if not request.is_completed())


@torch.library.custom_op("tfcost::receive_", mutates_args=("x",))
def _receive(x: Tensor, group: str, size: int, sender: int) -> None:
    processes = _PROCESSES[group]
    dist.recv(x, dist.get_global_rank(processes, sender), processes)


for _in_place in (_all_reduce, _all_reduce_max, _all_gather_in_place):
    _in_place.register_fake(lambda x, group, size: None)
for _one_way in (_send, _receive):
    _one_way.register_fake(lambda x, group, size, other: None)
for _resized in (_all_gather, _reduce_scatter):
    _resized.register_fake(lambda x, group, size, rows: x.new_empty(rows, *x.shape[1:]))
_all_to_all.register_fake(lambda x, group, size: x.new_empty(x.shape))
_shift.register_fake(lambda x, group, size, places: x.new_empty(x.shape))
