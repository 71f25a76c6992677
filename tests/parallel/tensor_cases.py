"""One part of a model on whole weights and on this rank's share of them, both as real torch code."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from oracles.allocator import AllocatorRun
from parallel.counting import counting
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.flop_counter import FlopCounterMode

from tfcost.collectives import connected
from tfcost.derive.harness import run_released
from tfcost.derive.subject import Size, Tensor, parse_shape
from tfcost.derive.technique import Variant
from tfcost.techniques import decoder_attention as decoder
from tfcost.techniques import standard
from tfcost.techniques.decoder_ffn import _network_block as decoder_network
from tfcost.techniques.ffn import feed_forward
from tfcost.techniques.layers import attention_layer, layer_norm, residual
from tfcost.techniques.parallel.tensor import TECHNIQUE
from tfcost.techniques.rotary import rms_norm

FIRST = ("w_q", "w_k", "w_v", "b_q", "b_k", "b_v", "w_1", "b_1", "w_gate", "b_gate", "table", "gate", "up", "sinks")
SECOND = ("w_o", "w_2", "down")
SIZES = {"b": 2, "n": 12, "d": 16, "h": 8, "h_kv": 4, "d_h": 4, "f": 24, "V": 20, "P": 16}


def variant_of(options: dict[str, Any]) -> Variant:
    (found,) = [one for one in TECHNIQUE.variants() if one.options == options and "d_h" not in one.subject.fixed]
    return found


def whole_values(sizes: dict[str, int]) -> dict[str, int]:
    """The subject's own symbols where there is one GPU."""
    return {**sizes, "T": 1, "r": sizes["h"] // sizes["h_kv"], "j": sizes["n"], "u": sizes["d_h"] // 2}


def whole_arguments(variant: Variant, sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    """The same numbers on every rank."""
    generator = torch.Generator().manual_seed(7)
    made = {}
    for name, argument in variant.subject.arguments.items():
        if isinstance(argument, Tensor):
            shape = [int(size.evaluate(whole_values(sizes))) for size in parse_shape(argument.shape)]
            if argument.role == "constant":
                made[name] = torch.ones(shape) / 2
            elif argument.role == "index":
                made[name] = torch.randint(0, sizes["V"], shape, generator=generator)
            else:
                made[name] = torch.randn(shape, generator=generator) / 2
    return made


def require_gradients(variant: Variant, tensors: dict[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        tensor.requires_grad_(variant.subject.arguments[name].role in ("input", "parameter"))


def share(name: str, tensor: torch.Tensor, rank: int, count: int, split: bool) -> torch.Tensor:
    """What of a whole tensor, or of its gradient, is this rank's."""
    if name in FIRST or (split and name in ("x", "output") and tensor.dim()):
        rows = tensor.reshape(-1, tensor.shape[-1]) if name in ("x", "output") else tensor
        return rows.chunk(count, 0)[rank].clone()
    return tensor.chunk(count, 1)[rank].contiguous() if name in SECOND else tensor.clone()


def plain(options: dict[str, Any], sizes: dict[str, int]) -> Callable[..., torch.Tensor]:
    """The part on one GPU. x may be given as rows."""
    b, n, d = (sizes[name] for name in ("b", "n", "d"))
    norm = options.get("norm", "none")

    def attention(x: torch.Tensor, scale: Any = None, shift: Any = None, **rest: Any) -> torch.Tensor:
        def core(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return standard.attention(q, k, v, causal=options["causal"])

        heads = {name: sizes[name] for name in ("h", "h_kv", "d_h")}
        inner = lambda y: attention_layer(y, core=core, strided=False, **heads, **rest)  # noqa: E731
        return residual(x.view(b, n, d), inner, norm, scale, shift)

    def decoder_attention(x: torch.Tensor, **rest: Any) -> torch.Tensor:
        own = {name: value for name, value in options.items() if name not in ("part", "rows")}
        (block,) = [one.subject for one in decoder.TECHNIQUE.variants()
                    if one.forward == "forward" and one.options == own and not one.subject.fixed]  # fmt: skip
        given = {name: int(parse_shape(size.expression)[0].evaluate(whole_values(sizes)))
                 for name, size in block.arguments.items() if isinstance(size, Size)}  # fmt: skip
        return block.function(x=x.view(b, n, d), **given, **rest)

    def decoder_ffn(x: torch.Tensor, **rest: Any) -> torch.Tensor:
        return decoder_network(options["activation"], norm, x, **rest)

    def ffn(x: torch.Tensor, scale: Any = None, shift: Any = None, **rest: Any) -> torch.Tensor:
        inner = lambda y: feed_forward(y, activation=options["activation"], **rest)  # noqa: E731
        return residual(x, inner, norm, scale, shift)

    def embedding(tokens: torch.Tensor, table: torch.Tensor, positions: Any = None) -> torch.Tensor:
        x = F.embedding(tokens, table)
        return x if positions is None else x + positions[:n]

    def head_loss(x: torch.Tensor, table: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(F.linear(x, table).view(-1, sizes["V"]), targets.view(-1))

    def last_norm(x: torch.Tensor, scale: torch.Tensor, shift: Any = None) -> torch.Tensor:
        return rms_norm(x, scale) if shift is None else layer_norm(x, scale, shift)

    parts = {"attention": attention, "ffn": ffn, "decoder attention": decoder_attention, "decoder ffn": decoder_ffn,
             "embedding": embedding, "norm": last_norm, "head and loss": head_loss}  # fmt: skip
    return parts[options["part"]]


def compare(processes: dist.ProcessGroup, options: dict[str, Any], sizes: dict[str, int]) -> dict[str, Any]:
    """Runs the part whole and shared out; asserts equal outputs and gradients, returns what was counted."""
    with connected("T", processes) as group:
        variant, split, t = variant_of(options), options["rows"] == "split", group.size
        whole = whole_arguments(variant, sizes)
        own = {name: share(name, one, group.rank, t, split) for name, one in whole.items()}
        for tensors in (whole, own):
            require_gradients(variant, tensors)
        expected = plain(options, sizes)(**whole)
        rest = other_arguments(variant, whole, sizes, t)
        function = variant.subject.function
        with counting() as counts:
            found = function(**own, **rest)
            counts.begin()
            gradient = None
            if expected.dim():
                gradient = torch.randn(expected.shape, generator=torch.Generator().manual_seed(8))
            expected.backward(gradient)
            found.backward(None if gradient is None else share("output", gradient, group.rank, t, split))
        torch.testing.assert_close(found, share("output", expected, group.rank, t, split), rtol=1e-4, atol=1e-5)
        for name, one in own.items():
            if one.requires_grad:
                wanted = share(name, whole[name].grad, group.rank, t, split)
                torch.testing.assert_close(one.grad, wanted, rtol=1e-4, atol=1e-5, msg=f"the gradient of {name}")
        return {"forward": counts.of(0), "backward": counts.of(1)}


def other_arguments(variant: Variant, tensors: Any, sizes: dict[str, int], t: int) -> dict[str, Any]:
    """Sizes and plain values, as this rank of `t` is given them."""
    values = {**sizes, "T": t, "h_kv": sizes["h_kv"] // t, "r": sizes["h"] // sizes["h_kv"], "f": sizes["f"] // t,
              "V": sizes["V"] // t, "j": sizes["n"] // t, "u": sizes["d_h"] // 2}  # fmt: skip
    rest = {name: one for name, one in variant.subject.arguments.items() if name not in tensors}
    return {name: int(parse_shape(one.expression)[0].evaluate(values)) if isinstance(one, Size) else one
            for name, one in rest.items()}  # fmt: skip


def measured(variant: Variant, own: dict[str, torch.Tensor], rest: dict[str, Any]) -> dict[str, Any]:
    """Matmul FLOPs and peak memory of both passes of a training step, as `trace_part` defines its phases."""

    def step(begin: Callable[[], None]) -> None:
        weights = {name: one.clone() for name, one in own.items() if name != "x"}
        require_gradients(variant, weights)
        make = own["x"].clone if "x" in own else None
        run_released(variant.subject.function, make, {**weights, **rest}, begin, lambda: None, begin)

    flops: list[int] = []
    with FlopCounterMode(display=False) as counter:
        step(lambda: flops.append(counter.get_total_flops()))
    flops.append(counter.get_total_flops())
    with AllocatorRun() as run:
        step(run.mark)
    _, forward, backward = (most for _, most in run.phases())
    return {"flops": (flops[1] - flops[0], flops[2] - flops[1]), "peaks": (forward, backward)}


def measured_alone(options: dict[str, Any], sizes: dict[str, int], count: int) -> dict[str, Any]:
    """`measured` of one of `count` ranks without the others: collectives that move nothing need no buffers."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=count)
    try:
        with connected("T", dist.group.WORLD) as group:
            variant, whole = variant_of(options), whole_arguments(variant_of(options), sizes)
            own = {name: share(name, one, 0, count, options["rows"] == "split") for name, one in whole.items()}
            return measured(variant, own, other_arguments(variant, whole, sizes, group.size))
    finally:
        dist.destroy_process_group()
