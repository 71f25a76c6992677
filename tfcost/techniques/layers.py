"""What surrounds an attention core in a model: its four projections, and the residual block with its normalisation."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.steps import step

Core = Callable[[Tensor, Tensor, Tensor], Tensor]


def attention_layer(
    x: Tensor,
    w_q: Tensor, w_k: Tensor, w_v: Tensor, w_o: Tensor,
    h: int, h_kv: int, d_h: int, core: Core, strided: bool,
    b_q: Tensor | None = None, b_k: Tensor | None = None, b_v: Tensor | None = None, b_o: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Projections around a core. x: [b, n, d]; w_q: [h·d_h, d]; w_k, w_v: [h_kv·d_h, d]; w_o: [d, h·d_h].

    A `strided` core takes heads as they lie in the projections and leaves its output so; for another one, each head's
    rows are brought together first, and apart again after it.
    """
    with step("projections"):
        q = _split_heads(F.linear(x, w_q, b_q), h, d_h, strided)
        k = _split_heads(F.linear(x, w_k, b_k), h_kv, d_h, strided)
        v = _split_heads(F.linear(x, w_v, b_v), h_kv, d_h, strided)
    out = core(q, k, v)
    with step("output projection"):
        return F.linear(_merge_heads(out, strided), w_o, b_o)


def _split_heads(x: Tensor, heads: int, d_h: int, strided: bool) -> Tensor:
    """[b, n, heads·d_h] as [b, heads, n, d_h]."""
    b, n, _ = x.shape
    split = x.view(b, n, heads, d_h).transpose(1, 2)
    return split if strided else split.clone(memory_format=torch.contiguous_format)


def _merge_heads(out: Tensor, strided: bool) -> Tensor:
    """[b, heads, n, d_h] as [b, n, heads·d_h]."""
    b, heads, n, d_h = out.shape
    rows = out.transpose(1, 2)
    return (rows if strided else rows.clone(memory_format=torch.contiguous_format)).view(b, n, heads * d_h)


def residual(
    x: Tensor, inner: Callable[[Tensor], Tensor], norm: str, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    """X + inner(x), with a layer norm before `inner` ("pre"), after the sum ("post"), or none. x: [b, n, d]."""
    if norm == "pre":
        return _add(x, inner(layer_norm(x, scale, shift)))
    out = _add(x, inner(x))
    return layer_norm(out, scale, shift) if norm == "post" else out


def layer_norm(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """Layer normalisation over the model width. x: [b, n, d]; scale, shift: [d]."""
    with step("norm"):
        return F.layer_norm(x, x.shape[-1:], scale, shift)


def _add(x: Tensor, y: Tensor) -> Tensor:
    with step("residual"):
        return x + y
