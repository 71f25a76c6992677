"""Dilated attention: a query sees every s-th key, k of them, its own included.

Positions with the same remainder modulo s form a sequence of their own with ordinary windows; the kernels of
`kernels/window` walk such sequences without copying them.
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
from tfcost_kernels.window import dilated_attention


def attention(q: Tensor, k: Tensor, v: Tensor, w: int, s: int, causal: bool = True) -> Tensor:
    """Attention to `w` keys on one side or both, `s` apart, and the query's own.

    q: [b, h, n, d_h]; k, v: [b, h_kv, n, d_h]; returns [b, h, n, d_h].
    """
    with step("attention kernel"):
        o: Tensor = dilated_attention(q, k, v, w, s, causal=causal)
        return o


def _variants() -> Iterator[Variant]:
    for width in HEAD_WIDTHS:
        for causal, side in ((True, "k-1"), (False, "(k-1)/2")):
            yield from attention_variants(
                attention,
                Setting({"w": Size("w"), "s": Size("s"), "causal": causal}, n="t*s", m="t*s", symbols=("t", "s", "w"),
                        fixed={"d_h": width}, substitutions=(("r", "h/h_kv"), ("w", side), ("t", "n/s")), strided=True,
                        assumptions=("h_kv divides h", "m = n", "s divides n", *(() if causal else ("k is odd",)))),
                {"causal": causal},
                predicate=masks.causal_dilated if causal else masks.dilated,
                reference=standard.attention,
                scopes=("core", "layer"),
                dtypes=("bfloat16", "float16"),
            )  # fmt: skip


TECHNIQUE = Technique(
    name="dilated",
    title="Dilated attention",
    section="2.3",
    implementation="triton",
    summary="A query sees k keys that are s positions apart, its own included.",
    options={"causal": Option((True, False), True, "queries see no later keys")},
    defaults={"k": 129, "s": 4},
    claims=(
        Claim("2.3", "time", Formula("n*k*d"), "time O(nkd)"),
        Claim("2.3", "space", Formula("n*k"), "space O(nk), the sparse attention matrix"),
    ),
    variants=_variants,
)
