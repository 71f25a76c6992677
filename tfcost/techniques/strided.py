"""Strided attention of the Sparse Transformer: the nearest s keys, and every s-th key beyond (Child et al. 2019)."""

from collections.abc import Iterator

from torch import Tensor

from tfcost.derive.subject import Size
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques import masks, standard
from tfcost.techniques.flash import HEAD_WIDTHS
from tfcost.techniques.variants import Setting, attention_variants
from tfcost_kernels.window import strided_attention


def attention(q: Tensor, k: Tensor, v: Tensor, s: int, causal: bool = True) -> Tensor:
    """Attention to the nearest `s` keys on one side or both and to every `s`-th key.

    q: [b, h, n, d_h]; k, v: [b, h_kv, n, d_h]; returns [b, h, n, d_h].
    """
    with step("attention kernel"):
        o: Tensor = strided_attention(q, k, v, s, causal=causal)
        return o


def _variants() -> Iterator[Variant]:
    for width in HEAD_WIDTHS:
        for causal in (True, False):
            yield from attention_variants(
                attention,
                Setting({"s": Size("s"), "causal": causal}, m="n", symbols=("n", "s"), fixed={"d_h": width},
                        strided=True, assumptions=("h_kv divides h", "m = n", "s <= n")),
                {"causal": causal},
                predicate=masks.causal_strided if causal else masks.strided,
                reference=standard.attention,
                scopes=("core", "layer"),
                dtypes=("bfloat16", "float16"),
            )  # fmt: skip


TECHNIQUE = Technique(
    name="strided",
    title="Strided sparse attention",
    section="2.3",
    implementation="triton",
    summary="A query sees the nearest s keys and every s-th key beyond: s + n/s positions.",
    options={"causal": Option((True, False), True, "queries see no later keys")},
    defaults={"s": 128},
    claims=(
        Claim("2.3", "time", Formula("n*d*(s + n/s)"), "time O(nkd), with k = s + n/s positions per query"),
        Claim("2.3", "space", Formula("n*(s + n/s)"), "space O(nk), with k = s + n/s positions per query"),
    ),
    variants=_variants,
)
