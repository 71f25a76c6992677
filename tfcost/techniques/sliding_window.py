"""Sliding-window attention: a query sees the keys near it, in a window that moves along or in blocks apart.

A causal window of w lets query i see keys i-w to i, w+1 in all; a symmetric one i-w to i+w. The Triton kernels are in
`kernels/window`; they visit no tile outside the window (Beltagy et al. 2020; Jiang et al. 2023, arXiv 2310.06825).
"""

from collections.abc import Iterator

from torch import Tensor

from tfcost.derive.subject import Size
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques import masks, standard
from tfcost.techniques.flash import HEAD_WIDTHS
from tfcost.techniques.variants import Setting, attention_variants
from tfcost_kernels.window import block_local_attention, window_attention


def attention(q: Tensor, k: Tensor, v: Tensor, w: int, causal: bool = True) -> Tensor:
    """Attention to a window of `w` keys. q: [b, h, n, d_h]; k, v: [b, h_kv, m, d_h]; returns [b, h, n, d_h]."""
    with step("attention kernel"):
        o: Tensor = window_attention(q, k, v, w, causal=causal)
        return o


def block_attention(q: Tensor, k: Tensor, v: Tensor, c: int, causal: bool = True) -> Tensor:
    """Attention inside blocks of `c` positions. q: [b, h, n, d_h]; k, v: [b, h_kv, n, d_h]; returns [b, h, n, d_h]."""
    with step("attention kernel"):
        o: Tensor = block_local_attention(q, k, v, c, causal=causal)
        return o


def _variants() -> Iterator[Variant]:
    for width in HEAD_WIDTHS:
        for causal in (True, False):
            yield from attention_variants(
                attention,
                Setting({"w": Size("w"), "causal": causal}, m="n", symbols=("n", "w"), fixed={"d_h": width},
                        strided=True, assumptions=("h_kv divides h", "m = n")),
                {"causal": causal, "overlapping": True},
                predicate=masks.causal_window if causal else masks.window,
                reference=standard.attention,
                scopes=("core", "layer", "block") if causal else ("core", "layer"),
                dtypes=("bfloat16", "float16"),
            )  # fmt: skip
            yield from attention_variants(
                block_attention,
                Setting({"c": Size("c"), "causal": causal}, m="n", symbols=("n", "c"), fixed={"d_h": width},
                        strided=True, assumptions=("h_kv divides h", "m = n", "c <= n")),
                {"causal": causal, "overlapping": False},
                predicate=masks.causal_block if causal else masks.block,
                reference=standard.attention,
                scopes=("core", "layer"),
                dtypes=("bfloat16", "float16"),
            )  # fmt: skip


TECHNIQUE = Technique(
    name="sliding-window",
    title="Sliding-window attention",
    section="4.2",
    implementation="triton",
    summary="A query sees the w keys before it (and after it), or the keys of its own block of c positions.",
    options={
        "causal": Option((True, False), True, "queries see no later keys"),
        "overlapping": Option((True, False), True, "a window w that moves along; else blocks of c that do not overlap"),
    },
    defaults={"w": 512, "c": 512},
    claims=(
        Claim("4.2", "time", Formula("n*w*d"), "time O(nwd)"),
        Claim("4.2", "space", Formula("n*w"), "space O(nw)"),
    ),
    variants=_variants,
)
