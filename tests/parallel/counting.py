"""Counts what torch.distributed is asked to do: its own functions are wrapped, nothing of tfcost is looked at.

Bytes are those of the buffer as the function's caller sees it: the whole of what is reduced, gathered, scattered,
exchanged or sent.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

# Function of torch.distributed -> name of the collective, place of the argument whose bytes count.
_COUNTED = {"all_reduce": ("all_reduce", 0), "all_gather_single": ("all_gather", 0),
            "reduce_scatter_single": ("reduce_scatter", 1), "all_to_all_single": ("all_to_all", 1)}  # fmt: skip


class Counts:
    """(bytes, calls) of each collective in the phase that runs."""

    def __init__(self, names: dict[Any, str]) -> None:
        self._names = names
        self._groups: dict[tuple[str, str], tuple[int, int]] = {}
        self.phases: list[Counter[str]] = [Counter()]
        self.calls: list[Counter[str]] = [Counter()]

    def begin(self) -> None:
        self.phases.append(Counter())
        self.calls.append(Counter())

    def add(self, name: str, tensor: torch.Tensor, group: Any) -> None:
        size = tensor.numel() * tensor.element_size()
        self.phases[-1][name] += size
        self.calls[-1][name] += 1
        key = name, self._names.get(group, "")
        before = self._groups.get(key, (0, 0))
        self._groups[key] = (before[0] + size, before[1] + 1)

    def by_group(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(bytes, calls) of all phases, by collective and the name of the group."""
        return dict(self._groups)

    def of(self, phase: int) -> dict[str, tuple[int, int]]:
        return {name: (size, self.calls[phase][name]) for name, size in self.phases[phase].items()}


@contextmanager
def counting(names: dict[Any, str] | None = None) -> Iterator[Counts]:
    """`names` are what groups of processes are called."""
    counts = Counts(names or {})
    real = {name: getattr(dist, name) for name in (*_COUNTED, "batch_isend_irecv")}
    for name, (kind, place) in _COUNTED.items():
        setattr(dist, name, _counted(real[name], kind, place, counts))

    def pairs(operations: list[Any]) -> Any:
        kind = "send" if len(operations) == 1 else "shift"
        for one in operations:
            if one.op is dist.isend:
                counts.add(kind, one.tensor, one.group)
        return real["batch_isend_irecv"](operations)

    dist.batch_isend_irecv = pairs
    try:
        yield counts
    finally:
        for name, function in real.items():
            setattr(dist, name, function)


def _counted(function: Callable[..., Any], kind: str, place: int, counts: Counts) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        largest = len(args) > 1 and args[1] == dist.ReduceOp.MAX if function.__name__ == "all_reduce" else False
        counts.add(f"{kind}_max" if largest else kind, args[place], kwargs.get("group"))
        return function(*args, **kwargs)

    return run


class _Dispatched(TorchDispatchMode):
    """Counts the operations that torch.distributed itself dispatches, whoever calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func.overloadpacket)
        if name in _DISPATCHED:
            kind, place = _DISPATCHED[name]
            tensors = args[place] if isinstance(args[place], list) else [args[place]]
            self.counts[kind] += sum(one.numel() * one.element_size() for one in tensors)
        elif name.startswith(("c10d.", "_c10d_functional.")) and not name.endswith("wait_tensor"):
            raise AssertionError(f"no counter for {name}")
        return func(*args, **(kwargs or {}))


# Operation -> name of the collective, place of the argument whose bytes count.
_DISPATCHED = {"c10d.allreduce_": ("all_reduce", 0), "c10d._allgather_base_": ("all_gather", 0),
               "c10d._reduce_scatter_base_": ("reduce_scatter", 1),
               "c10d.alltoall_base_": ("all_to_all", 1)}  # fmt: skip


@contextmanager
def dispatched() -> Iterator[Counter[str]]:
    mode = _Dispatched()
    with mode:
        yield mode.counts
