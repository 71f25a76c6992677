"""What surrounds an attention core in a model: its four projections, and the residual block with its normalisation."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from tfcost.steps import step

Core = Callable[[Tensor, Tensor, Tensor], Tensor]


def attention_layer(
    x: Tensor,
    w_q: Tensor, w_k: Tensor, w_v: Tensor, w_o: Tensor,
    h: int, h_kv: int, d_h: int, core: Core,
    b_q: Tensor | None = None, b_k: Tensor | None = None, b_v: Tensor | None = None, b_o: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Projections around a core. x: [b, n, d]; w_q: [h·d_h, d]; w_k, w_v: [h_kv·d_h, d]; w_o: [d, h·d_h]."""
    b, n, _ = x.shape
    with step("projections"):
        q = F.linear(x, w_q, b_q).view(b, n, h, d_h).transpose(1, 2)
        k = F.linear(x, w_k, b_k).view(b, n, h_kv, d_h).transpose(1, 2)
        v = F.linear(x, w_v, b_v).view(b, n, h_kv, d_h).transpose(1, 2)
    out = core(q, k, v)
    with step("output projection"):
        return F.linear(out.transpose(1, 2).reshape(b, n, h * d_h), w_o, b_o)


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
