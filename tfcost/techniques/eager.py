"""Attention with the scores in memory, and what models do to them there: a cap, a bias, a window, sinks.

Like `standard.attention` it needs no copies of K and V for grouped heads; value heads may have a width of their own.
"""

import torch
from torch import Tensor

from tfcost.steps import step
from tfcost.techniques import masks


def attention(
    q: Tensor, k: Tensor, v: Tensor, causal: bool = True, w: int | None = None, cap: float | None = None,
    sinks: Tensor | None = None, bias: Tensor | None = None, scale: float | None = None,
) -> Tensor:  # fmt: skip
    """q: [b, h, n, d_h]; k: [b, h_kv, m, d_h]; v: [b, h_kv, m, d_v]; returns [b, h, n, d_v].

    `causal` hides later keys, with a window `w` also those more than w before the query; `cap` bounds scores by a tanh
    (Gemma 2, arXiv 2408.00118); `sinks` [h] are logits that take part in the softmax and in nothing else (gpt-oss);
    `bias` [1, h, n, m] is added to the scores; `scale` is 1/√d_h unless said.
    """
    b, h, n, d_h = q.shape
    _, h_kv, m, d_v = v.shape
    group = h // h_kv
    with step("scores"):
        scores = q.reshape(b, h_kv, group * n, d_h) @ k.transpose(-2, -1)
        if scale != 1:
            scores = scores * (d_h**-0.5 if scale is None else scale)
        scores = scores.view(b, h_kv, group, n, m)
    if cap is not None:
        with step("cap"):
            scores = torch.tanh(scores / cap) * cap
    if bias is not None:
        with step("position bias"):
            scores = scores + bias.view(1, h_kv, group, n, m)
    if causal:
        with step("mask"):
            sizes = {} if w is None else {"w": w}
            allowed = masks.causal if w is None else masks.causal_window
            scores = scores.masked_fill(masks.hidden(allowed, n, m, q.device, **sizes), float("-inf"))
    with step("softmax"):
        weights = torch.softmax(scores, dim=-1) if sinks is None else _with_sinks(scores, sinks)
        weights = weights.reshape(b, h_kv, group * n, m)
    with step("values"):
        return (weights @ v).view(b, h, n, d_v)


def _with_sinks(scores: Tensor, sinks: Tensor) -> Tensor:
    """The softmax over keys and one sink per head, without the sink's share. scores: [b, h_kv, group, n, m]."""
    b, h_kv, group, n, _ = scores.shape
    column = sinks.view(1, h_kv, group, 1, 1).expand(b, h_kv, group, n, 1)
    scores = torch.cat([scores, column], dim=-1)
    # The largest one keeps exponentials in range; no gradient goes through it.
    scores = scores - scores.detach().amax(dim=-1, keepdim=True)
    return torch.softmax(scores, dim=-1)[..., :-1]
