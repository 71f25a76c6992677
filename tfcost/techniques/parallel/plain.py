"""Blocks of GPT-2, BERT and plain layers on one of T GPUs."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor as TorchTensor

from tfcost.collectives import Group
from tfcost.derive.subject import Size, Tensor
from tfcost.derive.technique import Mask, Variant
from tfcost.techniques import flash, masks, standard
from tfcost.techniques.ffn import ACTIVATIONS, feed_forward
from tfcost.techniques.layers import attention_layer, residual
from tfcost.techniques.parallel.parts import (
    EVERY_DTYPE,
    HALVES,
    ROWS,
    exchanged,
    length_of,
    of_rows,
    part_variant,
    sized,
)
from tfcost.techniques.variants import HEADS, SURROUNDINGS, Attention, biases, norm_weights, projections

_CORES: tuple[tuple[str, Attention, bool, Mapping[str, int], tuple[str, ...]], ...] = (
    ("standard", standard.attention, False, {}, EVERY_DTYPE),
    *(("flash", flash.attention, True, {"d_h": width}, HALVES) for width in flash.HEAD_WIDTHS),
)


def attention(
    x: TorchTensor, group: Group, rows: str, norm: str, size: tuple[int, int] | None = None,
    scale: TorchTensor | None = None, shift: TorchTensor | None = None, b_o: TorchTensor | None = None, **rest: Any,
) -> TorchTensor:  # fmt: skip
    """Attention with residual and norm. scale, shift, b_o: [d]; `rest`: the other arguments of `attention_layer`, for
    this GPU's heads.
    """
    inner = exchanged(lambda y: attention_layer(y, **rest), group, rows, size, b_o)
    return residual(x, inner, norm, *of_rows(rows, group, scale, shift))


def network(
    x: TorchTensor, group: Group, rows: str, norm: str, size: tuple[int, int] | None = None,
    scale: TorchTensor | None = None, shift: TorchTensor | None = None, b_2: TorchTensor | None = None, **rest: Any,
) -> TorchTensor:  # fmt: skip
    """Feed-forward network with residual and norm. scale, shift, b_2: [d]; `rest`: the other arguments of
    `feed_forward`, with f/T for f.
    """
    inner = exchanged(lambda y: feed_forward(y, **rest), group, rows, size, b_2)
    return residual(x, inner, norm, *of_rows(rows, group, scale, shift))


def variants(rows: str) -> Iterator[Variant]:
    """Attention and network with all surroundings."""
    for norm, bias in SURROUNDINGS:
        for causal in (False, True):
            for core in _CORES:
                yield _attention(rows, core, causal, norm, bias)
        for activation in ACTIVATIONS:
            yield _network(rows, activation, norm, bias)


def _attention(rows: str, core: tuple[Any, ...], causal: bool, norm: str, bias: bool) -> Variant:
    name, function, strided, fixed, dtypes = core
    run, more = sized(
        partial(attention, rows=rows, norm=norm, core=partial(function, causal=causal), strided=strided), rows
    )
    heads = {"h": Size(HEADS), "h_kv": Size("h_kv"), "d_h": Size("d_h")}
    arguments = {"x": Tensor(ROWS[rows]), **projections(), **biases(bias), **norm_weights(norm), **heads, **more}
    options = {"part": "attention", "attention": name, "causal": causal, "rows": rows, "norm": norm, "bias": bias}
    return part_variant(
        "block", options, run, arguments, ("b", "h_kv", "r", length_of(rows), "d_h", "d"), fixed, dtypes,
        assumptions=("h_kv divides h",), mask=Mask(masks.causal, keys="n") if causal else None,
    )  # fmt: skip


def _network(rows: str, activation: str, norm: str, bias: bool) -> Variant:
    run, more = sized(partial(network, rows=rows, norm=norm, activation=activation), rows)
    shapes = {"w_1": "f,d", "w_2": "d,f", **({"b_1": "f", "b_2": "d"} if bias else {})}
    if activation == "swiglu":
        shapes |= {"w_gate": "f,d", **({"b_gate": "f"} if bias else {})}
    weights = {name: Tensor(shape, "parameter") for name, shape in shapes.items()}
    arguments = {"x": Tensor(ROWS[rows]), **weights, **norm_weights(norm), **more}
    options = {"part": "ffn", "activation": activation, "rows": rows, "norm": norm, "bias": bias}
    return part_variant("block", options, run, arguments, ("b", length_of(rows), "d", "f"))
