"""Collectives on a ring, ring attention and experts on several processes, each against one process's own result."""

from typing import Any

import torch
import torch.distributed as dist
from oracles.allocator import AllocatorRun
from parallel.counting import counting
from torch.testing._internal.distributed.fake_pg import FakeStore

from tfcost.collectives import connected
from tfcost.derive.harness import run_released
from tfcost.derive.subject import Size, parse_shape
from tfcost.techniques import decoder_ffn, standard
from tfcost.techniques.parallel import context, ring
from tfcost.techniques.parallel.context import ring_attention
from tfcost.techniques.parallel.expert import block

Counted = dict[str, tuple[int, int]]
NUMBERS = 24
HEADS = {"b": 2, "h": 4, "h_kv": 2, "n": 12, "d_h": 8}
EXPERTS = {"b": 2, "n": 6, "d": 8, "E": 4, "f_e": 12, "f_s": 8, "k": 2, "c": 9}


def collective(processes: dist.ProcessGroup, name: str) -> Counted:
    """A collective made of messages gives what the library's own gives."""
    with connected("G", processes) as group:
        generator = torch.Generator().manual_seed(group.rank)
        x = torch.randn(NUMBERS // (group.size if name == "all_gather" else 1), generator=generator)
        with counting() as counts:
            found = getattr(ring, name)(x, group)
        expected = torch.empty_like(found)
        match name:
            case "all_reduce":
                expected = x.clone()
                dist.all_reduce(expected, group=processes)
            case "all_gather":
                dist.all_gather_single(expected, x, group=processes)
            case "reduce_scatter":
                dist.reduce_scatter_single(expected, x, group=processes)
            case "all_to_all":
                dist.all_to_all_single(expected, x, group=processes)
        torch.testing.assert_close(found, expected)
        return counts.of(0)


def attention(processes: dist.ProcessGroup, causal: bool) -> list[Counted]:
    """Forward and backward of ring attention; results and gradients as without it."""
    generator = torch.Generator().manual_seed(5)
    shapes = [(HEADS["b"], HEADS[heads], HEADS["n"], HEADS["d_h"]) for heads in ("h", "h_kv", "h_kv", "h")]
    *whole, gradient = (torch.randn(shape, generator=generator) for shape in shapes)
    with connected("C", processes) as group:
        own = [one.chunk(group.size, 2)[group.rank].clone().requires_grad_() for one in whole]
        for one in whole:
            one.requires_grad_()
        expected = standard.attention(*whole, causal=causal)
        expected.backward(gradient)
        with counting() as counts:
            found = ring_attention(*own, group, causal)
            counts.begin()
            found.backward(gradient.chunk(group.size, 2)[group.rank])
        torch.testing.assert_close(found, expected.chunk(group.size, 2)[group.rank])
        for mine, one in zip(own, whole, strict=True):
            torch.testing.assert_close(mine.grad, one.grad.chunk(group.size, 2)[group.rank], rtol=1e-4, atol=1e-5)
        return [counts.of(0), counts.of(1)]


def experts(processes: dist.ProcessGroup, name: str) -> list[Counted]:
    """Forward and backward of a mixture; each process has rows of its own and some of the experts."""
    kind = decoder_ffn.EXPERTS[name]
    generator = torch.Generator().manual_seed(6)
    shapes = {**decoder_ffn._expert_shapes(kind), "scale": None}
    weights = {}
    for key, shape in shapes.items():
        sizes = [EXPERTS["d"]] if shape is None else [_size(text) for text in shape.shape.split(",")]
        weights[key] = torch.randn(sizes, generator=generator) / 2
    rows = torch.randn(dist.get_world_size(processes), EXPERTS["b"], EXPERTS["n"], EXPERTS["d"], generator=generator)
    with connected("X", processes) as group:
        whole = {key: one.clone().requires_grad_() for key, one in weights.items()}
        own = {key: (one.chunk(group.size)[group.rank] if key.startswith("expert_") else one).clone().requires_grad_()
               for key, one in weights.items()}  # fmt: skip
        # All processes' losses together make the gradients of the experts, which see rows of all of them.
        plain = [decoder_ffn._expert_block(kind, x, EXPERTS["k"], EXPERTS["c"], **whole) for x in rows]
        sum(one.square().sum() for one in plain).backward()
        with counting() as counts:
            found = block(rows[group.rank], group, kind, EXPERTS["k"], EXPERTS["c"],
                          EXPERTS["E"] // group.size, **own)  # fmt: skip
            counts.begin()
            found.square().sum().backward()
        torch.testing.assert_close(found, plain[group.rank], rtol=1e-4, atol=1e-5)
        for key, one in own.items():
            if key.startswith("expert_"):
                wanted = whole[key].grad.chunk(group.size)[group.rank]
                torch.testing.assert_close(one.grad, wanted, rtol=1e-3, atol=1e-4)
        return [counts.of(0), counts.of(1)]


def _size(text: str) -> Any:
    return EXPERTS["E"] if text == "E_a" else EXPERTS[text] if text in EXPERTS else int(text)


def block_alone(options: dict[str, Any], sizes: dict[str, int]) -> tuple[int, int]:
    """Most bytes alive in the forward and the backward pass of a block around the ring, on one of C processes."""
    (subject,) = [one.subject for one in context.TECHNIQUE.variants() if one.options == options]
    values = {**sizes, "r": sizes["h"] // sizes["h_kv"], "i": sizes["n"] // sizes["C"], "u": sizes["d_h"] // 2}
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=sizes["C"])
    try:
        with connected("C", dist.group.WORLD), AllocatorRun() as run:
            made = {name: _argument(one, values) for name, one in subject.arguments.items() if name != "x"}
            shape = [int(size.evaluate(values)) for size in parse_shape(subject.arguments["x"].shape)]
            run_released(subject.function, lambda: torch.randn(shape), made, run.mark, lambda: None, run.mark)
        return run.phases()[1][1], run.phases()[2][1]
    finally:
        dist.destroy_process_group()


def _argument(argument: Any, values: dict[str, int]) -> Any:
    if isinstance(argument, Size):
        return int(parse_shape(argument.expression)[0].evaluate(values))
    shape = [int(size.evaluate(values)) for size in parse_shape(argument.shape)]
    return torch.randn(shape).requires_grad_(argument.role == "parameter")
