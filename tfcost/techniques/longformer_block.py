"""Longformer's attention block: a symmetric window, and g global tokens in front with projections of their own.

The window kernel serves every query; the g global queries are then computed over all keys with their own projections,
as in the published model (Beltagy et al. 2020, arXiv 2004.05150). Layer norm after the residual, biases everywhere.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor as TorchTensor

from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Technique, Variant
from tfcost.steps import step
from tfcost.techniques import eager, longformer
from tfcost.techniques.flash import HEAD_WIDTHS
from tfcost.techniques.layers import residual

_OWN, _GLOBAL = ("q", "k", "v"), ("q_global", "k_global", "v_global")


def block(
    x: TorchTensor, h: int, d_h: int, w: int, g: int, scale: TorchTensor, shift: TorchTensor, **weights: TorchTensor
) -> TorchTensor:
    """norm(x + attention(x)). x: [b, n, d]; `weights` are w_ and b_ of q, k, v, of their global forms, and of o."""
    b, n, _ = x.shape

    def heads(rows: TorchTensor, name: str) -> TorchTensor:
        projected = F.linear(rows, weights[f"w_{name}"], weights[f"b_{name}"])
        return projected.view(b, rows.shape[1], h, d_h).transpose(1, 2)

    def attend(y: TorchTensor) -> TorchTensor:
        with step("projections"):
            q, k, v = (heads(y, name) for name in _OWN)
        near = longformer.attention(q, k, v, w, g, causal=False)
        with step("global projections"):
            q, k, v = heads(y[:, :g], "q_global"), heads(y, "k_global"), heads(y, "v_global")
        far = eager.attention(q, k, v, causal=False)
        with step("output projection"):
            rows = torch.cat([far, near[:, :, g:]], dim=2).transpose(1, 2).reshape(b, n, h * d_h)
            return F.linear(rows, weights["w_o"], weights["b_o"])

    return residual(x, attend, "post", scale, shift)


def _subject(width: int) -> Subject:
    names = (*_OWN, *_GLOBAL)
    shapes = {**{f"w_{name}": "h*d_h,d" for name in names}, **{f"b_{name}": "h*d_h" for name in names},
              "w_o": "d,h*d_h", "b_o": "d", "scale": "d", "shift": "d"}  # fmt: skip
    sizes: dict[str, Any] = {name: Size(name) for name in ("h", "d_h", "w", "g")}
    given = {"x": Tensor("b,n,d"), **{name: Tensor(shape, "parameter") for name, shape in shapes.items()}, **sizes}
    return Subject(block, given, ("b", "h", "n", "d", "w", "g"), {"d_h": width})


def _variants() -> Iterator[Variant]:
    for width in HEAD_WIDTHS:
        yield Variant("block", {"norm": "post", "bias": True}, _subject(width), (), ("g <= n",), part="attention",
                      dtypes=("bfloat16", "float16"))  # fmt: skip


TECHNIQUE = Technique(
    name="longformer-block",
    title="Longformer's attention block",
    section="2.4",
    implementation="triton",
    summary="A window of w keys on either side, and g global tokens that have projections of their own.",
    defaults={"w": 256, "g": 1},
    variants=_variants,
)
