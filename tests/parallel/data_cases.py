"""A small model trained on rows split over processes, by every stage of ZeRO and by torch's own DDP and FSDP."""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from parallel.counting import counting, dispatched
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from tfcost.collectives import Group, connected
from tfcost.techniques.ffn import feed_forward
from tfcost.techniques.layers import residual
from tfcost.techniques.parallel.data import (
    Sharded,
    SharedGradients,
    gradient_shard,
    mean_gradient,
    sharded_update,
)
from tfcost.techniques.transformer import adamw

D, WIDTH, LAYERS, ROWS, STEPS = 8, 16, 3, 4, 2
SHAPES = {"scale": (D,), "shift": (D,), "w_1": (WIDTH, D), "w_2": (D, WIDTH), "b_1": (WIDTH,), "b_2": (D,)}
WEIGHTS = sum(prod(shape) for shape in SHAPES.values())


def block(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, **network: torch.Tensor) -> torch.Tensor:
    return residual(x, lambda y: feed_forward(y, activation="gelu", **network), "pre", scale, shift)


def first_weights() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(WEIGHTS, generator=generator) / 3 for _ in range(LAYERS)]


def rows() -> torch.Tensor:
    return torch.randn(ROWS, D, generator=torch.Generator().manual_seed(4))


def whole() -> list[torch.Tensor]:
    """All weights after the steps on one process with all rows; plain autograd."""
    weights = [one.requires_grad_() for one in first_weights()]
    states = [(torch.zeros(WEIGHTS), torch.zeros(WEIGHTS)) for _ in weights]
    for number in range(STEPS):
        x = rows()
        for weight in weights:
            pieces = weight.split([prod(shape) for shape in SHAPES.values()])
            x = block(x, **{name: p.view(shape) for (name, shape), p in zip(SHAPES.items(), pieces, strict=True)})
        x.square().mean().backward()
        with torch.no_grad():
            for weight, state in zip(weights, states, strict=True):
                adamw(weight, weight.grad, *state, number + 1)
                weight.grad = None
    return weights


def train(processes: dist.ProcessGroup, stage: int) -> list[dict[str, tuple[int, int]]]:
    """Checks that `stage` of ZeRO leads to the weights of `whole`; what a step communicates, per step."""
    with connected("D", processes) as group, counting() as counts:
        share = WEIGHTS // group.size
        own = slice(group.rank * share, (group.rank + 1) * share)
        weights = [one[own].clone() if stage == 3 else one for one in first_weights()]
        kept = share if stage else WEIGHTS
        states = [(torch.zeros(kept), torch.zeros(kept)) for _ in weights]
        for number in range(STEPS):
            counts.begin()
            _step(stage, weights, states, number + 1, group)
        for trained, expected in zip(weights, whole(), strict=True):
            wanted = expected.detach()[own] if stage == 3 else expected.detach()
            torch.testing.assert_close(trained.detach(), wanted, rtol=1e-4, atol=1e-5)
        return [counts.of(number + 1) for number in range(STEPS)]


def _step(stage: int, weights: list[torch.Tensor], states: list[Any], number: int, group: Group) -> None:
    kind: Callable[..., Any] = {2: SharedGradients, 3: Sharded}.get(stage, _Plain)
    parts = [kind(block, SHAPES, group) for _ in weights]
    leaves = [weight.detach().requires_grad_() for weight in weights]
    x = rows().chunk(group.size)[group.rank]
    for part, leaf in zip(parts, leaves, strict=True):
        x = part(leaf, x=x)
    x.square().mean().backward()
    with torch.no_grad():
        for part, weight, leaf, state in zip(parts, weights, leaves, states, strict=True):
            update = partial(_update, state=state, number=number)
            if stage == 0:
                update(weight, mean_gradient(leaf.grad, group))
            elif stage == 3:
                update(weight, leaf.grad)
            else:
                shard = part.gradient if stage == 2 else gradient_shard([leaf.grad], group, len(state[0]))
                sharded_update(weight, shard, update, group)


def _update(weight: torch.Tensor, gradient: torch.Tensor, state: Any, number: int) -> None:
    adamw(weight, gradient, *state, number)


class _Plain:
    def __init__(self, function: Any, shapes: Any, group: Group) -> None:
        self._function, self._shapes = function, shapes

    def __call__(self, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        pieces = weight.split([prod(shape) for shape in self._shapes.values()])
        named = {n: piece.view(s) for (n, s), piece in zip(self._shapes.items(), pieces, strict=True)}
        return self._function(x, **named)


class Block(nn.Module):
    """The same block as a module."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(D)
        self.first, self.second = nn.Linear(D, WIDTH), nn.Linear(WIDTH, D)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.gelu(self.first(self.norm(x))))


def torch_ddp(processes: dist.ProcessGroup) -> dict[str, int]:
    """Bytes per collective of one step under DistributedDataParallel."""
    blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
    model = nn.parallel.DistributedDataParallel(blocks, process_group=processes)
    seen: dict[str, int] = {"all_reduce": 0}

    def count(state: Any, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
        seen["all_reduce"] += bucket.buffer().numel() * bucket.buffer().element_size()
        work = dist.all_reduce(bucket.buffer(), group=processes, async_op=True)
        return work.get_future().then(lambda done: done.value()[0])

    model.register_comm_hook(None, count)
    model(rows()).square().mean().backward()
    return seen


def torch_fsdp(processes: dist.ProcessGroup) -> dict[str, int]:
    """Bytes per collective of one step under FSDP2, every block a unit of its own."""
    mesh = DeviceMesh.from_group(processes, "cpu")
    model = nn.Sequential(*(Block() for _ in range(LAYERS)))
    for one in model:
        fully_shard(one, mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)
    with dispatched() as counts:
        model(rows()).square().mean().backward()
    return dict(counts)
