"""Collectives made of messages between neighbours: G GPUs in a ring, each sends to the next one alone.

What a GPU sends in them is what a collective costs on a ring (Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce
algorithms for clusters of workstations"): G - 1 messages of one part of G for each half of an all-reduce.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from tfcost.collectives import Group, shift
from tfcost.derive.subject import Size, Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.techniques.parallel.parts import on_group

GROUP = "G"


def all_gather(x: Tensor, group: Group) -> Tensor:
    """Every GPU's part x [q] in order, [G·q]: what came last is passed on."""
    parts = [x]
    for _ in range(group.size - 1):
        parts.append(shift(parts[-1], group))
    # The message that came after i steps is that of the GPU i places before.
    return torch.cat([parts[(group.rank - place) % group.size] for place in range(group.size)])


def reduce_scatter(x: Tensor, group: Group) -> Tensor:
    """Of the sum of every GPU's x [G·q], the part [q] of this one: it travels round the ring and grows at every GPU."""
    parts = x.chunk(group.size)
    travelling = parts[(group.rank - 1) % group.size]
    for turn in range(2, group.size + 1):
        travelling = shift(travelling, group) + parts[(group.rank - turn) % group.size]
    return travelling


def all_reduce(x: Tensor, group: Group) -> Tensor:
    """The sum of every GPU's x [G·q]: first scattered, then gathered."""
    return all_gather(reduce_scatter(x, group), group)


def all_to_all(x: Tensor, group: Group) -> Tensor:
    """Part i of x [G·q] goes to GPU i, straight to it; returns what all sent to this one, in order."""
    parts = x.chunk(group.size)
    found = [parts[group.rank]] * group.size
    for turn in range(1, group.size):
        found[(group.rank - turn) % group.size] = shift(parts[(group.rank + turn) % group.size], group, turn)
    return torch.cat(found)


_COLLECTIVES: dict[str, tuple[Callable[..., Tensor], str]] = {
    "all_gather": (all_gather, "q"), "reduce_scatter": (reduce_scatter, "G*q"), "all_reduce": (all_reduce, "G*q"),
    "all_to_all": (all_to_all, "G*q"),
}  # fmt: skip


def _variants() -> Iterator[Variant]:
    for name, (function, shape) in _COLLECTIVES.items():
        arguments: dict[str, Any] = {"x": Shape(shape), GROUP: Size(GROUP)}
        subject = Subject(on_group(function, GROUP), arguments, (GROUP, "q"))
        yield Variant("collective", {"collective": name}, subject, (("q", "N/G"),), ("G divides N",), backward=False)


TECHNIQUE = Technique(
    name="ring-collectives",
    title="Collectives on a ring",
    section="",
    implementation="torch",
    summary="All-reduce, all-gather, reduce-scatter and all-to-all of N numbers as messages between neighbours.",
    options={"collective": Option(tuple(_COLLECTIVES), "all_reduce", "what the messages make up")},
    defaults={"G": 2},
    variants=_variants,
)
