"""Top-k sparse attention: each block of queries attends to the few blocks of keys that matter most to it.

Selection compares block means, q̄·k̄, and keeps the best key blocks; the Triton kernels in `kernels/gather` attend to
those. The choice itself has no gradient (Tang et al. 2024, arXiv 2406.10774; Lu et al. 2025, arXiv 2502.13189).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tfcost.derive.subject import Size
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques import masks, standard
from tfcost.techniques.flash import HEAD_WIDTHS
from tfcost.techniques.variants import Setting, attention_variants
from tfcost_kernels.common.shapes import check_attention_shapes
from tfcost_kernels.gather import gather_attention

# Rows per block: one tile of the kernels.
BLOCK = 64
# Sizes in blocks, and the symbols they are parts of.
_BLOCKS_OF = {"t": "n", "e": "m", "blocks": "k"}


def attention(q: Tensor, k: Tensor, v: Tensor, blocks: int, causal: bool = False) -> Tensor:
    """Attention of each block of 64 queries to the `blocks` blocks of 64 keys that suit it best.

    q: [b, h, n, d_h]; k, v: [b, h_kv, m, d_h]; returns [b, h, n, d_h]. The query heads of one key/value head share
    their blocks. Raises ValueError for no block, more than there are, or shapes that do not fit together.
    """
    check_attention_shapes(q, k, v)
    index = select_blocks(q, k, blocks, causal)
    with step("attention kernel"):
        o: Tensor = gather_attention(q, k, v, index, block=BLOCK, causal=causal)
        return o


def select_blocks(q: Tensor, k: Tensor, blocks: int, causal: bool) -> Tensor:
    """The key blocks of each query block, [b, h_kv, ⌈n/B⌉, blocks], in no particular order.

    Causal: no block beyond the query block's last query, and always the one that its first query lies in, so that no
    query is left without keys. Where fewer blocks can be seen, hidden ones fill the list.
    """
    n, m = q.shape[2], k.shape[2]
    # Sizes that are symbols are not compared.
    if isinstance(blocks, int) and isinstance(m, int) and not 1 <= blocks <= (m + BLOCK - 1) // BLOCK:
        raise ValueError(f"{blocks} blocks of {BLOCK} keys cannot be chosen from {m} keys")
    with step("selection"), torch.no_grad():
        scores = block_scores(q, k)
        if causal:
            scores = _causal_scores(scores, m - n)
        return scores.topk(blocks, dim=-1, sorted=False).indices


def block_scores(q: Tensor, k: Tensor) -> Tensor:
    """Q̄K̄ᵀ of the block means, those of queries over the heads of a group too: [b, h_kv, ⌈n/B⌉, ⌈m/B⌉]."""
    b, _, n, d_h = q.shape
    queries = _block_means(q.view(b, k.shape[1], -1, n, d_h))
    return queries @ _block_means(k.unsqueeze(2)).transpose(-2, -1)


def _block_means(x: Tensor) -> Tensor:
    """Means over heads and blocks of rows, the last of which may be shorter. x: [b, h_kv, heads, n, d_h]; returns
    [b, h_kv, ⌈n/B⌉, d_h].
    """
    *heads, n, d_h = x.shape
    whole, rest = n // BLOCK, n % BLOCK
    means = x[:, :, :, : whole * BLOCK].view(*heads, whole, BLOCK, d_h).mean(dim=(2, 4))
    if rest:
        means = torch.cat([means, x[:, :, :, -rest:].mean(dim=(2, 3)).unsqueeze(2)], dim=2)
    return means


def _causal_scores(scores: Tensor, earlier: int) -> Tensor:
    """Block scores: -∞ where no query of the block may look, +∞ at the block of its first query. `earlier` is m - n."""
    rows, columns = scores.shape[-2:]
    first = torch.arange(rows, device=scores.device).unsqueeze(1) * BLOCK + earlier
    blocks = torch.arange(columns, device=scores.device)
    scores = scores.masked_fill(blocks > (first + (BLOCK - 1)) // BLOCK, float("-inf"))
    return scores.masked_fill(blocks == first // BLOCK, float("inf"))


def as_many(i: Any, j: Any, n: Any, m: Any, blocks: Any) -> Any:
    """A mask with as many pairs as lists of `blocks` whole blocks, whichever they are."""
    return j < blocks * BLOCK


def as_many_causal(i: Any, j: Any, n: Any, m: Any, blocks: Any) -> Any:
    """The same for causal lists and n = m: a query's own block up to itself, and earlier ones, all of them whole."""
    return masks.causal(i, j, n, m) & (j >= (i // BLOCK - blocks + 1) * BLOCK)


def _reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What the mathematics asks for, before the choice is applied to scores and values."""
    with step("selection"), torch.no_grad():
        block_scores(q, k)
    return standard.attention(q, k, v)


def _variants() -> Iterator[Variant]:
    for width in HEAD_WIDTHS:
        for causal in (False, True):
            setting = Setting(
                {"blocks": Size("blocks"), "causal": causal},
                n=f"{BLOCK}*t",
                m=f"{BLOCK}*t" if causal else f"{BLOCK}*e",
                symbols=("t", "blocks") if causal else ("t", "e", "blocks"),
                fixed={"d_h": width},
                hints={"blocks": 3},
                substitutions=(("r", "h/h_kv"), *((name, f"{of}/{BLOCK}") for name, of in _BLOCKS_OF.items())),
                assumptions=("h_kv divides h", *(("m = n",) if causal else (f"{BLOCK} divides m",)),
                             f"{BLOCK} divides n", f"{BLOCK} divides k", "k <= n" if causal else "k <= m"),
                strided=True,
            )  # fmt: skip
            yield from attention_variants(
                attention, setting, {"causal": causal}, predicate=as_many_causal if causal else as_many,
                reference=_reference, scopes=("core", "layer"), dtypes=("bfloat16", "float16"),
            )  # fmt: skip


TECHNIQUE = Technique(
    name="top-k",
    title="Top-k sparse attention",
    section="2.3",
    implementation="triton",
    summary="A block of 64 queries attends to the k keys, in blocks, whose means score highest with its own.",
    options={"causal": Option((False, True), False, "queries see no later keys; a query's own block is always chosen")},
    defaults={"k": 1024},
    claims=(
        Claim("2.3", "time", Formula("n*k*d"), "time O(nkd), k positions per query"),
        Claim("2.3", "time", Formula("n*k*d"), "time O(nkd), the attention alone", step="attention kernel"),
        Claim("2.3", "space", Formula("n*k"), "space O(nk)"),
    ),
    variants=_variants,
)
