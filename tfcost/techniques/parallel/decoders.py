"""Blocks of open decoders on one of T GPUs: the kinds of `decoder_attention`, the networks of `decoder_ffn`."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor as TorchTensor

from tfcost.collectives import Group
from tfcost.derive.subject import Size, Tensor
from tfcost.derive.technique import Mask, Variant
from tfcost.techniques import decoder_attention as blocks
from tfcost.techniques import masks
from tfcost.techniques.decoder_ffn import NETWORKS, network_shapes
from tfcost.techniques.decoder_ffn import network as plain_network
from tfcost.techniques.parallel.blocks import own_weight
from tfcost.techniques.parallel.parts import EVERY_DTYPE, HALVES, ROWS, exchanged, length_of, part_variant, sized

_NORMS = ("scale", "shift", "after_scale", "after_shift")
_HEAD_NORMS = ("q_scale", "k_scale")


def attention(
    x: TorchTensor, group: Group, rows: str, kind: blocks.Kind, core: str, h: int, h_kv: int, d_h: int,
    size: tuple[int, int] | None = None, **rest: Any,
) -> TorchTensor:  # fmt: skip
    """`decoder_attention`'s block for this GPU's heads; `rest` are its weights and tables by name, and w."""
    weights = _shared_weights(blocks._weights(rest), group, rows)
    bias, strided = weights.pop("b_o", None), core in blocks._KERNEL_CORES

    def attend(y: TorchTensor) -> TorchTensor:
        function = blocks._core(kind, core, rest)
        return blocks.projected(y, (h, h_kv, d_h), function, strided, kind.rope == "partial", weights)

    return blocks.surrounded(x, exchanged(attend, group, rows, size, bias), kind.norm_kind, kind.norm, weights)


def network(
    x: TorchTensor, group: Group, rows: str, activation: str, norm: str, size: tuple[int, int] | None = None,
    **weights: TorchTensor,
) -> TorchTensor:  # fmt: skip
    """`decoder_ffn`'s network for this GPU's share of the hidden width."""
    weights = _shared_weights(weights, group, rows)
    inner = exchanged(lambda y: plain_network(y, activation, weights), group, rows, size)
    return blocks.surrounded(x, inner, "rms", norm, weights)


def _shared_weights(weights: dict[str, TorchTensor], group: Group, rows: str) -> dict[str, TorchTensor]:
    """Gradients of head norms are summed over all heads, those of norms over all rows."""
    summed = (*_HEAD_NORMS, *(_NORMS if rows == "split" else ()))
    return {name: _summed(one, group) if name in summed else one for name, one in weights.items()}


def _summed(weight: TorchTensor, group: Group) -> TorchTensor:
    found = own_weight(weight, group)
    assert found is not None
    return found


def variants(rows: str) -> Iterator[Variant]:
    """Every kind of attention block with its cores, every network."""
    for kind in blocks.KINDS.values():
        for core in kind.cores:
            if core != "linear":
                for fixed in kind.widths if core in blocks._KERNEL_CORES else (None,):
                    yield _attention(rows, kind, core, fixed)
    for activation, norm in NETWORKS:
        run, more = sized(partial(network, rows=rows, activation=activation, norm=norm), rows)
        weights = {**network_shapes(activation), **blocks.norm_shapes("rms", norm)}
        options = {"part": "decoder ffn", "activation": activation, "rows": rows, "norm": norm}
        arguments = {"x": Tensor(ROWS[rows]), **weights, **more}
        yield part_variant("block", options, run, arguments, ("b", length_of(rows), "d", "f"))


def _attention(rows: str, kind: blocks.Kind, core: str, fixed: int | None) -> Variant:
    run, more = sized(partial(attention, rows=rows, kind=kind, core=core), rows)
    width, every = blocks.width_of(kind.rope, fixed), "n" if rows == "whole" else "T*j"
    window: dict[str, Any] = {"w": Size("w")} if "window" in core else {}
    arguments = {**blocks._arguments(kind, width, every), "x": Tensor(ROWS[rows]), **window, **more}
    sizes = ("b", "h_kv", "r", length_of(rows), *width.sizes, "d", *window)
    meanings = tuple(one for one in width.meanings if one[0] != "r")
    mask = Mask(masks.causal_window if window else masks.causal, tuple(window), keys="n")
    options = {"part": "decoder attention", "rows": rows, **blocks._options(kind, core)}
    dtypes = HALVES if core in blocks._KERNEL_CORES else EVERY_DTYPE
    return part_variant("block", options, run, arguments, sizes, width.fixed, dtypes, meanings,
                        blocks._assumptions(kind), mask)  # fmt: skip
