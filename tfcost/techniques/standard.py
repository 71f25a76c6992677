"""Self-attention as the textbook writes it: scores, softmax, weighted values, the n×m scores in memory.

Grouped-query attention needs no copies of K and V: the query heads of one key/value head are stacked along the rows.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques import masks
from tfcost.techniques.variants import Setting, attention_variants
from tfcost_kernels.common.shapes import check_attention_shapes


def attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
    """softmax(QKᵀ/√d_h)V. q: [b, h, n, d_h]; k, v: [b, h_kv, m, d_h]; returns [b, h, n, d_h].

    Raises ValueError for shapes that do not fit together.
    """
    check_attention_shapes(q, k, v)
    b, h, n, d_h = q.shape
    _, h_kv, m, _ = k.shape
    group = h // h_kv
    with step("scores"):
        scores = q.reshape(b, h_kv, group * n, d_h) @ k.transpose(-2, -1)
        scores = scores * d_h**-0.5
    if causal:
        with step("mask"):
            scores = scores.view(b, h_kv, group, n, m)
            scores = scores.masked_fill(masks.hidden(masks.causal, n, m, q.device), float("-inf"))
            scores = scores.view(b, h_kv, group * n, m)
    with step("softmax"):
        weights = torch.softmax(scores, dim=-1)
    with step("values"):
        return (weights @ v).view(b, h, n, d_h)


def _variants() -> Iterator[Variant]:
    yield from attention_variants(attention, Setting({"causal": False}), {"causal": False})
    yield from attention_variants(attention, Setting({"causal": True}), {"causal": True}, predicate=masks.causal)


TECHNIQUE = Technique(
    name="standard",
    title="Self-attention with the scores in memory",
    section="1.1",
    implementation="torch",
    summary="softmax(QKᵀ/√d_h)V, step by step, every intermediate a tensor of its own.",
    options={"causal": Option((False, True), False, "queries see no later keys")},
    claims=(
        Claim("1.1.2", "time", Formula("n*d**2"), "Q, K, V, O projections: O(nd²)", step="projections"),
        Claim("1.1.2", "time", Formula("n**2*d"), "QKᵀ: O(n²d)", step="scores"),
        Claim("1.1.2", "time", Formula("n**2"), "softmax over an n×n matrix: O(n²)", step="softmax"),
        Claim("1.1.2", "time", Formula("n**2*d"), "AV: O(n²d)", step="values"),
        Claim("1.1.2", "time", Formula("n**2*d + n*d**2"), "total time O(n²d + nd²)"),
        Claim("1.1.3", "space", Formula("n**2 + d**2"), "total space O(n² + d²)"),
    ),
    variants=_variants,
)
