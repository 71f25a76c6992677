"""A model whose layers are split into stages: trained for one step on processes, and one stage of it alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
from oracles.allocator import AllocatorRun
from parallel.counting import counting
from parallel.data_cases import SHAPES, block
from parallel.model_cases import own_values, parts_of, shape_of, size_of
from torch.testing._internal.distributed.fake_pg import FakeStore

from tfcost.collectives import Group, connected
from tfcost.derive.subject import Size, Tensor
from tfcost.techniques.parallel.pipeline import Stage, one_forward_one_backward

ROWS, WIDTH = 3, SHAPES["scale"][0]


def weights_of(layer: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(layer)
    return {name: (torch.randn(shape, generator=generator) / 3).requires_grad_() for name, shape in SHAPES.items()}


def batch(number: int) -> torch.Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(100 + number))


def trained(processes: dist.ProcessGroup, micro_batches: int) -> dict[str, Any]:
    """One layer a stage. Checks the gradients against the whole model on one process; returns what was sent and how
    many micro-batches were between forward and backward at once.
    """
    with connected("Q", processes) as group:
        own, open_, most = weights_of(group.rank), set[int](), [0]

        def run(x: torch.Tensor) -> torch.Tensor:
            key = len(seen)
            seen.append(key)
            open_.add(key)
            most[0] = max(most[0], len(open_))
            x.register_hook(lambda gradient: open_.discard(key))
            out = block(x, **own)
            return out.square().sum() if group.rank == group.size - 1 else out

        seen: list[int] = []
        stage = Stage(run, batch, torch.empty(ROWS, WIDTH), group, group.rank)
        with counting() as counts:
            one_forward_one_backward(stage, micro_batches)
        every = [weights_of(layer) for layer in range(group.size)]
        for number in range(micro_batches):
            x = batch(number)
            for weights in every:
                x = block(x, **weights)
            x.square().sum().backward()
        for name, weight in every[group.rank].items():
            torch.testing.assert_close(own[name].grad, weight.grad, rtol=1e-4, atol=1e-5)
        return {"sent": counts.of(0), "in flight": most[0]}


def peak_alone(fields: dict[str, Any], stages: int, micro_batches: int, place: int) -> int:
    """The most bytes alive in a step of the stage at `place`, without the others."""
    dist.init_process_group("fake", store=FakeStore(), rank=place, world_size=stages)
    try:
        with connected("Q", dist.group.WORLD) as group, AllocatorRun() as run:
            step = _prepared(fields, group, micro_batches, place)
            run.mark()
            with pytest.MonkeyPatch.context() as patched:
                # Nobody is there to receive: a message is gone at once.
                patched.setattr(dist, "batch_isend_irecv", lambda messages: [])
                step()
        return run.phases()[-1][1]
    finally:
        dist.destroy_process_group()


def _prepared(fields: dict[str, Any], group: Group, micro_batches: int, place: int) -> Callable[[], None]:
    values = own_values(fields, 1, micro_batches)
    parts = parts_of(fields, 1, False)
    each = fields["L"] // group.size
    inner = parts[1:-2][2 * each * place : 2 * each * (place + 1)]
    own = [*(parts[:1] if place == 0 else []), *inner, *(parts[-2:] if place == group.size - 1 else [])]
    chain = []
    for _, variant in own:
        arguments = variant.subject.arguments
        weights = {key: torch.randn(shape_of(one, values)).requires_grad_() for key, one in arguments.items()
                   if isinstance(one, Tensor) and one.role == "parameter"}  # fmt: skip
        rest = {key: size_of(one, values) if isinstance(one, Size) else one
                for key, one in arguments.items() if not isinstance(one, Tensor)}  # fmt: skip
        index = [key for key, one in arguments.items() if isinstance(one, Tensor) and one.role == "index"]
        chain.append((variant.subject.function, weights, rest, index))
    shape = (micro_batches, values["b"], values["n"])
    words = {key: torch.zeros(shape, dtype=torch.int64) for *_, index in chain for key in index}
    running = [0]

    def first(number: int) -> torch.Tensor:
        return torch.empty(0)

    def run(x: torch.Tensor) -> torch.Tensor:
        given = {} if place == 0 else {"x": x}
        del x
        for function, weights, rest, index in chain:
            out = function(**given, **weights, **rest, **{key: words[key][running[0]] for key in index})
            given.clear()
            given["x"] = out
            del out
        running[0] += 1
        return given.pop("x")

    like = torch.empty(1).expand(values["b"], values["n"], values["d"])
    stage = Stage(run, first, like, group, place)
    return lambda: one_forward_one_backward(stage, micro_batches)
