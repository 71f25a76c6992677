"""Longformer attention: a window, and g global tokens in front that every query sees and that see every key.

The Triton kernels are in `kernels/window` (Beltagy et al. 2020, arXiv 2004.05150, with one set of projections).
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
from tfcost_kernels.window import longformer_attention


def attention(q: Tensor, k: Tensor, v: Tensor, w: int, g: int, causal: bool = True) -> Tensor:
    """Attention to `w` keys on one side or both and to `g` global tokens.

    q: [b, h, n, d_h]; k, v: [b, h_kv, n, d_h]; returns [b, h, n, d_h].
    """
    with step("attention kernel"):
        o: Tensor = longformer_attention(q, k, v, w, g, causal=causal)
        return o


def _variants() -> Iterator[Variant]:
    for width in HEAD_WIDTHS:
        for causal in (True, False):
            yield from attention_variants(
                attention,
                Setting({"w": Size("w"), "g": Size("g"), "causal": causal}, m="n", symbols=("n", "w", "g"),
                        fixed={"d_h": width}, strided=True, assumptions=("h_kv divides h", "m = n")),
                {"causal": causal},
                predicate=masks.causal_longformer if causal else masks.longformer,
                reference=standard.attention,
                scopes=("core", "layer"),
                dtypes=("bfloat16", "float16"),
            )  # fmt: skip


TECHNIQUE = Technique(
    name="longformer",
    title="Causal sparse attention with global tokens",
    section="2.4",
    implementation="triton",
    summary="A window of w keys, and g global tokens that see everything and that everyone sees.",
    options={"causal": Option((True, False), True, "queries see no later keys")},
    defaults={"w": 512, "g": 64},
    claims=(
        Claim("2.4", "time", Formula("n*w*d + n*g*d"), "time O(nwd + ngd)"),
        Claim("2.4", "space", Formula("n*(w + g)"), "space O(n(w + g))"),
    ),
    variants=_variants,
)
