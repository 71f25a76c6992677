"""FlashAttention: exact attention in one Triton kernel per pass, tile by tile, the n×m scores never in memory.

The kernels and their launcher are in `kernels/flash`; costs are read from their IR, one set per head width, because
the tile sizes depend on it (Dao 2023, arXiv 2307.08691).
"""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor as TorchTensor

from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques import masks, standard
from tfcost.techniques.variants import Setting, attention_variants
from tfcost_kernels.flash import flash_attention
from tfcost_kernels.flash.tiles import Tile, Tiles

# Head widths that models use; the kernels know more (`tfcost_kernels.flash.tiles`).
HEAD_WIDTHS = (64, 128)


def attention(q: TorchTensor, k: TorchTensor, v: TorchTensor, causal: bool = False) -> TorchTensor:
    """softmax(QKᵀ/√d_h)V. q: [b, h, n, d_h]; k, v: [b, h_kv, m, d_h]; returns [b, h, n, d_h]."""
    with step("attention kernel"):
        o: TorchTensor = flash_attention(q, k, v, causal=causal)
        return o


def attention_by_tile(
    q: TorchTensor, k: TorchTensor, v: TorchTensor, causal: bool, rows: int, keys: int
) -> TorchTensor:
    """`attention` with tiles of `rows` queries by `keys` keys instead of the table's."""
    tile = Tile(rows, keys, warps=4, stages=1)
    o: TorchTensor = flash_attention(q, k, v, causal=causal, tiles=Tiles(tile, tile, tile))
    return o


def _tiled_subject(causal: bool) -> Subject:
    """One head, as many keys as queries, the tile a pair of sizes."""
    given = Tensor("1,1,n,d_h")
    arguments = {"q": given, "k": given, "v": given, "causal": causal, "rows": Size("B_M"), "keys": Size("B_N")}
    return Subject(attention_by_tile, arguments, sizes=("n", "d_h", "B_M", "B_N"))


def _variants() -> Iterator[Variant]:
    for width in HEAD_WIDTHS:
        for causal in (False, True):
            variants = attention_variants(
                attention,
                Setting({"causal": causal}, fixed={"d_h": width}, strided=True),
                {"causal": causal},
                predicate=masks.causal if causal else None,
                reference=standard.attention,
                dtypes=("bfloat16", "float16"),
            )
            for variant in variants:
                yield replace(variant, tiled=_tiled_subject(causal)) if variant.scope == "core" else variant


def _compared(quantity: str, quote: str, least: str, most: str) -> Claim:
    """A claim that a quantity is so many times what it is with standard attention."""
    return Claim("2.1", quantity, Formula("1"), quote, ratio=(Formula(least), Formula(most)), than="standard")


TECHNIQUE = Technique(
    name="flash",
    title="FlashAttention",
    section="2.1",
    implementation="triton",
    summary="Exact attention with online softmax: tiles of Q stay on chip while K and V stream past.",
    options={"causal": Option((False, True), False, "queries see no later keys; tiles above the diagonal are skipped")},
    claims=(
        Claim("2.1", "time", Formula("n**2*d + n*d**2"), "time O(n²d + nd²), the same as standard attention"),
        Claim("2.1", "space", Formula("n*d"), "space O(nd), no n×n matrix"),
        _compared("duration", "attention 3-5 times as fast", "1/5", "1/3"),
        _compared("space", "about 70 % less memory", "1/4", "7/20"),
    ),
    variants=_variants,
)
