"""Data parallelism: D GPUs with the same model and other rows; what they exchange of N weights and their gradients.

ZeRO (Rajbhandari et al. 2020, arXiv 1910.02054, section 5) lets a GPU keep 1/D of the optimizer's state (stage 1), of
the gradients (2), of the weights (3). `sharded_update` is the optimizer step of stages 1 and 2. `SharedGradients` runs
any part of a model with stage 2, `Sharded` with stage 3, as FSDP does: its weights are gathered for the forward pass,
dropped, and gathered again for the backward pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from tfcost.collectives import Group, all_gather, all_gather_, all_reduce_, reduce_scatter
from tfcost.derive.subject import Size, Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.steps import step
from tfcost.techniques.parallel.exchange import Kept
from tfcost.techniques.parallel.parts import on_group

GROUP = "D"
Shapes = Mapping[str, Sequence[int]]


def mean_gradient(gradient: Tensor, group: Group) -> Tensor:
    """The mean of every GPU's gradient [N], in its place: plain data parallelism."""
    with step("gradients"):
        return all_reduce_(gradient, group).div_(group.size)


def gradient_shard(gradients: Sequence[Tensor], group: Group, own: int) -> Tensor:
    """The part of the mean gradient that is this GPU's, [own], own = N/D. `gradients`: of all weights, N elements."""
    with step("gradients"):
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        return reduce_scatter(flat, group, own).div_(group.size)


def gradient_shards(parts: Sequence[Sequence[Tensor]], group: Group) -> list[Tensor]:
    """`gradient_shard` of the weights of every part after a whole backward pass (stage 1), the largest part first: no
    later one then needs more memory, as the gradients of each go with it.
    """
    sizes = [sum(weight.numel() for weight in part) for part in parts]
    found: dict[int, Tensor] = {}
    for place in sorted(range(len(parts)), key=lambda one: -sizes[one]):
        gradients = [weight.grad for weight in parts[place] if weight.grad is not None]
        found[place] = gradient_shard(gradients, group, sizes[place] // group.size)
        del gradients
        for weight in parts[place]:
            weight.grad = None
    return [found[place] for place in range(len(parts))]


def updated_weights(weight: Tensor, group: Group) -> Tensor:
    """All weights [N], in place, once every GPU has updated its own part of them (stages 1 and 2)."""
    with step("weights"):
        return all_gather_(weight, group)


def gathered_weights(shard: Tensor, group: Group, count: int) -> Tensor:
    """All `count` = N weights from the parts [N/D] of every GPU (stage 3)."""
    with step("weights"):
        return all_gather(shard, group, count)


def sharded_update(weight: Tensor, gradient: Tensor, update: Callable[[Tensor, Tensor], object], group: Group) -> None:
    """`update(weights, gradient)` of this GPU's part alone, then all weights from all GPUs. weight: [N], changed in
    place; gradient: [N/D].
    """
    own = gradient.shape[0]
    update(weight.narrow(0, group.rank * own, own), gradient)
    updated_weights(weight, group)


class SharedGradients:
    """A part of a model with all its weights, one flat vector, of whose gradient a GPU keeps its own part."""

    gradient: Tensor | None = None

    def __init__(self, function: Callable[..., Tensor], shapes: Shapes, group: Group) -> None:
        """`function` takes x and the weights by the names of `shapes`."""
        self._function, self.shapes, self.group = function, shapes, group

    def __call__(self, weight: Tensor, **others: Any) -> Tensor:
        """`function(**weights, **others)`. weight: [N]; `gradient` [N/D] adds up over backward passes."""
        weights = _Viewed.apply(weight, self)  # type: ignore[no-untyped-call]
        return self._function(**dict(zip(self.shapes, weights, strict=True)), **others)


class _Viewed(torch.autograd.Function):
    """All weights as they lie in one vector; back, their gradients to the part's own one."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, part: SharedGradients) -> tuple[Tensor, ...]:
        ctx.part, ctx.own = part, weight.shape[0] // part.group.size
        return _pieces(weight.detach(), part.shapes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        shard = gradient_shard(gradients, ctx.part.group, ctx.own)
        ctx.part.gradient = shard if ctx.part.gradient is None else ctx.part.gradient.add_(shard)
        return None, None


def _pieces(flat: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
    pieces = torch.split(flat, [prod(shape) for shape in shapes.values()])
    return tuple(piece.view(*shape) for piece, shape in zip(pieces, shapes.values(), strict=True))


class Sharded:
    """A part of a model whose weights lie on D GPUs as one flat vector each has a part of."""

    kept: Kept

    def __init__(self, function: Callable[..., Tensor], shapes: Shapes, group: Group) -> None:
        """`function` takes x and the weights by the names of `shapes`."""
        self._function, self.shapes, self.group = function, shapes, group
        self.count = sum(prod(shape) for shape in shapes.values())

    def __call__(self, shard: Tensor, **others: Any) -> Tensor:
        """`function(**weights, **others)`. shard: [N/D]; its gradient is that of this part, the mean over the GPUs."""
        own = shard.detach()
        self.kept = Kept(lambda: gathered_weights(own, self.group, self.count))
        weights = _Gathered.apply(shard, self)  # type: ignore[no-untyped-call]
        named = dict(zip(self.shapes, weights, strict=True))
        with self.kept.instead_of(weights[0]):
            del weights
            out = self._function(**named, **others)
        result: Tensor = _Beginning.apply(out, self.kept)  # type: ignore[no-untyped-call]
        return result


class _Beginning(torch.autograd.Function):
    """Weights are gathered again before the backward pass of their part begins, needed or not."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, weights: Kept) -> Tensor:
        ctx.weights = weights
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.weights.gather()
        return gradient, None


class _Gathered(torch.autograd.Function):
    """From this GPU's share to all weights of a part; back, from their gradients to its share of the mean."""

    @staticmethod
    def forward(ctx: Any, shard: Tensor, part: Sharded) -> tuple[Tensor, ...]:
        ctx.part, ctx.own = part, shard.shape[0]
        return _pieces(gathered_weights(shard, part.group, part.count), part.shapes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        ctx.part.kept.drop()
        return gradient_shard(gradients, ctx.part.group, ctx.own), None


_EXCHANGES: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    "mean gradient": (mean_gradient, {"gradient": Shape("N")}),
    "gradient shard": (lambda gradient, **rest: gradient_shard([gradient], **rest),
                       {"gradient": Shape("N"), "own": Size("z")}),
    "updated weights": (updated_weights, {"weight": Shape("N")}),
    "gathered weights": (gathered_weights, {"shard": Shape("z"), "count": Size("N")}),
}  # fmt: skip


def _variants() -> Iterator[Variant]:
    for name, (function, arguments) in _EXCHANGES.items():
        split = any("z" in str(argument) for argument in arguments.values())
        sizes = ("N", GROUP, *(["z"] if split else []))
        subject = Subject(on_group(function, GROUP), {**arguments, GROUP: Size(GROUP)}, sizes)
        yield Variant(
            "part", {"part": name}, subject, (("z", "N/D"),) if split else (), ("D divides N",), part=name,
            backward=False,
        )  # fmt: skip


TECHNIQUE = Technique(
    name="data-parallel",
    title="Data parallelism and ZeRO",
    section="",
    implementation="torch",
    summary="D GPUs with other rows average their gradients; ZeRO shares out optimizer state, gradients and weights.",
    options={"part": Option(tuple(_EXCHANGES), "mean gradient", "what is exchanged of N weights or their gradients")},
    defaults={"D": 2},
    variants=_variants,
)
