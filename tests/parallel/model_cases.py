"""A training step of a whole model split over T·D processes: the parts' real code in a chain, with every stage of ZeRO.

Each process has random weights of its own shapes; what is counted are collectives by group, matrix products and memory.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
import torch.distributed as dist
from oracles.allocator import AllocatorRun
from parallel.counting import counting
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.flop_counter import FlopCounterMode

from tfcost.collectives import Group, connected
from tfcost.derive.subject import Size, Tensor, parse_shape
from tfcost.derive.technique import Variant
from tfcost.techniques import ffn, standard, transformer
from tfcost.techniques.parallel import tensor
from tfcost.techniques.parallel.data import Sharded, SharedGradients, gradient_shards, mean_gradient, updated_weights

Sizes = dict[str, int]
TECHNIQUES = {"standard": standard, "ffn": ffn, "transformer": transformer, "tensor-parallel": tensor}


def parts_of(fields: dict[str, Any], tensor_gpus: int, sequence: bool) -> list[tuple[str, Variant]]:
    """The variants of all parts in order, each with a name; layers repeat."""
    norm, bias = fields["norm"], fields["bias"]
    attention = {"causal": True, "norm": norm, "bias": bias}
    network = {"activation": fields["ffn"], "norm": norm, "bias": fields["ffn_bias"]}
    if tensor_gpus > 1:
        rows = "split" if sequence else "whole"
        first = ("tensor-parallel", {"part": "embedding", "positions": True, "rows": rows})
        block = ("tensor-parallel", {"part": "attention", "attention": "standard", **attention, "rows": rows})
        second = ("tensor-parallel", {"part": "ffn", **network, "rows": rows})
        last = ("tensor-parallel", {"part": "norm", "norm_kind": "layer", "rows": rows})
        head = ("tensor-parallel", {"part": "head and loss", "rows": rows})
    else:
        first = ("transformer", {"part": "embedding", "positions": True, "segments": False, "norm": False})
        block, second = ("standard", attention), ("ffn", {**network, "fused": False})
        last, head = ("transformer", {"part": "norm"}), ("transformer", {"part": "head and loss"})
    if tensor_gpus > 1 and not sequence:
        last = ("transformer", {"part": "norm"})
    found = [("embedding", first)]
    for _ in range(fields["L"]):
        found += [("attention", block), ("ffn", second)]
    found += [("norm", last), ("head", head)]
    return [(name, _variant(*kind)) for name, kind in found]


def _variant(technique: str, options: dict[str, Any]) -> Variant:
    known = [one for one in TECHNIQUES[technique].TECHNIQUE.variants() if one.scope in ("block", "part")]
    (found,) = [one for one in known if one.options == options and "d_h" not in one.subject.fixed]
    return found


class Model:
    """The parts of one process with their weights: tensors of their own, or one flat vector a part (stages 2 and 3)."""

    def __init__(self, parts: list[tuple[str, Variant]], values: Sizes, stage: int, group: Group, tied: bool) -> None:
        self._values, self._stage, self._group = values, stage, group
        self._parts: list[tuple[Variant, Callable[..., torch.Tensor], dict[str, torch.Tensor]]] = []
        for name, variant in parts:
            shapes = {key: shape_of(one, values) for key, one in variant.subject.arguments.items()
                      if isinstance(one, Tensor) and one.role == "parameter"}  # fmt: skip
            weights = {key: torch.randn(shape).requires_grad_() for key, shape in shapes.items()}
            function = variant.subject.function
            if stage >= 2:
                size = sum(map(prod, shapes.values()))
                kind, own = (Sharded, size // group.size) if stage == 3 else (SharedGradients, size)
                function = kind(function, shapes, group)
                weights = {"shard" if stage == 3 else "weight": torch.randn(own).requires_grad_()}
            elif tied and name == "head":
                weights["table"] = self._parts[0][2]["table"]
            self._parts.append((variant, function, weights))
        self._inputs = {key: torch.zeros(shape_of(one, values), dtype=torch.int64)
                        for variant in (parts[0][1], parts[-1][1]) for key, one in variant.subject.arguments.items()
                        if isinstance(one, Tensor) and one.role == "index"}  # fmt: skip

    def step(self) -> None:
        """Forward, backward, and what is exchanged of gradients and weights after that; no optimizer."""
        x: dict[str, torch.Tensor] = {}
        for variant, function, weights in self._parts:
            arguments = variant.subject.arguments
            rest = {key: one if not isinstance(one, Size) else size_of(one, self._values)
                    for key, one in arguments.items() if not isinstance(one, Tensor)}  # fmt: skip
            rest |= {key: one for key, one in self._inputs.items() if key in arguments}
            out = function(**x, **weights, **rest)
            x.clear()
            x["x"] = out
            del out
        x.pop("x").backward()
        if self._group.size > 1:
            self._exchange()

    def _exchange(self) -> None:
        leaves = {id(one): one for _, _, weights in self._parts for one in weights.values()}.values()
        if self._stage == 0:
            for one in leaves:
                mean_gradient(one.grad, self._group)
        if self._stage == 1:
            self._share_out()
        if self._stage == 2:
            for one in leaves:
                updated_weights(one.detach(), self._group)

    def _share_out(self) -> None:
        parts, seen = [], set()
        for _, _, weights in self._parts:
            parts.append([one for one in weights.values() if id(one) not in seen])
            seen |= {id(one) for one in weights.values()}
        owning = [part for part in parts if part]
        shards = gradient_shards(owning, self._group)
        for part in owning:
            # The parts' weights lie one by one here: a copy stands for the vector that is gathered in place.
            updated_weights(torch.cat([one.detach().reshape(-1) for one in part]), self._group)
        del shards


def shape_of(argument: Tensor, values: Sizes) -> tuple[int, ...]:
    return tuple(int(size.evaluate(values)) for size in parse_shape(argument.shape))


def size_of(argument: Size, values: Sizes) -> int:
    return int(parse_shape(argument.expression)[0].evaluate(values))


def own_values(fields: dict[str, Any], tensor_gpus: int, data: int) -> Sizes:
    """The sizes of one process, in the symbols of the parts' own code."""
    t, h, h_kv = tensor_gpus, fields["h"], fields.get("h_kv", fields["h"])
    return {"b": fields["b"] // data, "n": fields["n"], "j": fields["n"] // t, "d": fields["d"], "T": t,
            "h_kv": h_kv // t, "r": h // h_kv, "d_h": fields["d"] // h, "f": 4 * fields["d"] // t,
            "V": fields["V"] // t, "P": fields["max_positions"]}  # fmt: skip


@contextmanager
def groups(tensor_gpus: int, data: int) -> Iterator[tuple[Group, dict[Any, str]]]:
    """The tensor- and the data-parallel group of this process; and what they are called."""
    rank, made = dist.get_rank(), {}
    for number in range(data):
        one = dist.new_group([number * tensor_gpus + place for place in range(tensor_gpus)])
        made["T"] = one if rank // tensor_gpus == number else made.get("T")
    for place in range(tensor_gpus):
        one = dist.new_group([number * tensor_gpus + place for number in range(data)])
        made["D"] = one if rank % tensor_gpus == place else made.get("D")
    with connected("T", made["T"]), connected("D", made["D"]) as shared:
        yield shared, {made["T"]: "T", made["D"]: "D"}


def exchanged(
    processes: dist.ProcessGroup, fields: dict[str, Any], tensor_gpus: int, sequence: bool, data: int, stage: int
) -> dict[tuple[str, str], tuple[int, int]]:
    """(bytes, calls) by collective and group, really run."""
    with groups(tensor_gpus, data) as (shared, names), counting(names) as counts:
        values = own_values(fields, tensor_gpus, data)
        Model(parts_of(fields, tensor_gpus, sequence), values, stage, shared, fields["head"] == "tied").step()
        return counts.by_group()


def alone(fields: dict[str, Any], tensor_gpus: int, sequence: bool, data: int, stage: int) -> tuple[int, int]:
    """(matmul FLOPs, peak bytes) of a step of the first process, without the others."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=tensor_gpus * data)
    try:
        with groups(tensor_gpus, data) as (shared, _):
            values, tied = own_values(fields, tensor_gpus, data), fields["head"] == "tied"
            parts = parts_of(fields, tensor_gpus, sequence)
            with AllocatorRun() as run:
                model = Model(parts, values, stage, shared, tied)
                run.mark()
                model.step()
            model = Model(parts, values, stage, shared, tied)
            with FlopCounterMode(display=False) as counter:
                model.step()
            return counter.get_total_flops(), run.phases()[-1][1]
    finally:
        dist.destroy_process_group()
