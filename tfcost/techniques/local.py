"""Local attention, the simplest fixed sparse pattern: a query sees the k positions around it, its own included.

The window kernels of `kernels/window` compute it: k = w + 1 causal, k = 2·w + 1 symmetric.
"""

from collections.abc import Iterator

from tfcost.derive.subject import Size
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.techniques import masks, standard
from tfcost.techniques.flash import HEAD_WIDTHS
from tfcost.techniques.sliding_window import attention
from tfcost.techniques.variants import Setting, attention_variants


def _variants() -> Iterator[Variant]:
    for width in HEAD_WIDTHS:
        for causal, side in ((True, "k-1"), (False, "(k-1)/2")):
            yield from attention_variants(
                attention,
                Setting({"w": Size("w"), "causal": causal}, m="n", symbols=("n", "w"), fixed={"d_h": width},
                        substitutions=(("r", "h/h_kv"), ("w", side)),
                        strided=True, assumptions=("h_kv divides h", "m = n", *(() if causal else ("k is odd",)))),
                {"causal": causal},
                predicate=masks.causal_window if causal else masks.window,
                reference=standard.attention,
                scopes=("core", "layer"),
                dtypes=("bfloat16", "float16"),
            )  # fmt: skip


TECHNIQUE = Technique(
    name="local",
    title="Local attention",
    section="2.3",
    implementation="triton",
    summary="A query sees the k positions around it, its own included.",
    options={"causal": Option((True, False), True, "queries see no later keys")},
    defaults={"k": 129},
    claims=(
        Claim("2.3", "time", Formula("n*k*d"), "time O(nkd)"),
        Claim("2.3", "space", Formula("n*k"), "space O(nk), the sparse attention matrix"),
    ),
    variants=_variants,
)
