"""Cluster attention: tokens are put into buckets by their keys, and a token attends to the tokens of its bucket.

Buckets are those of the nearest centroid (spherical k-means; Roy et al. 2021) or of random directions (LSH; Kitaev et
al. 2020). Balanced: tokens sorted by bucket are cut into clusters of equal length, for the Triton kernels in
`kernels/gather`. Unbalanced: a bucket keeps its tokens, and all take the space and the time of the largest.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor as TorchTensor

from tfcost.derive.subject import Size, Tensor
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques import masks, standard
from tfcost.techniques.buckets import buckets, direction_scores, places, slots
from tfcost.techniques.flash import HEAD_WIDTHS
from tfcost.techniques.variants import Setting, attention_variants
from tfcost_kernels.common.shapes import check_attention_shapes, differ
from tfcost_kernels.gather import gather_attention

# Rows per block: one tile of the kernels.
BLOCK = 64


def attention(
    q: TorchTensor, k: TorchTensor, v: TorchTensor, directions: TorchTensor, blocks: int, lsh: bool = False,
    causal: bool = False,
) -> TorchTensor:  # fmt: skip
    """Attention inside clusters of `blocks` blocks of 64 tokens that are neighbours when sorted by bucket.

    q: [b, h, n, d_h]; k, v: [b, h_kv, n, d_h]; directions: see `buckets`; returns [b, h, n, d_h]. The last cluster may
    be shorter. The query heads of one key/value head share their clusters. Raises ValueError for a cluster without
    tokens, or with more blocks than there are.
    """
    length = blocks * BLOCK
    _check(q, k, v, blocks, BLOCK)
    with step("selection"), torch.no_grad():
        order = buckets(k, directions, lsh).argsort(dim=-1, stable=True)
        if causal:
            # Within a cluster in the order of the sequence, so that later there is later in the sequence.
            order = (places(order) // length).argsort(dim=-1, stable=True)
        back, index = places(order), _own_cluster(order, blocks)
    with step("sorting"):
        q, k, v = (_rows(x, order) for x in (q, k, v))
    with step("attention kernel"):
        out = gather_attention(q, k, v, index, block=BLOCK, causal=causal)
    with step("sorting"):
        return _rows(out, back)


def _own_cluster(order: TorchTensor, blocks: int) -> TorchTensor:
    """For each block of sorted queries, the blocks of its cluster: [b, h_kv, ⌈n/B⌉, blocks]."""
    b, h_kv, n = order.shape
    tiles = torch.arange((n + BLOCK - 1) // BLOCK, dtype=torch.int32, device=order.device)
    first = (tiles // blocks * blocks).unsqueeze(1)
    return (first + torch.arange(blocks, dtype=torch.int32, device=order.device)).expand(b, h_kv, -1, -1)


def _rows(x: TorchTensor, index: TorchTensor) -> TorchTensor:
    """Rows of every head, picked by the index of its key/value head; tokens before heads in memory.

    x: [b, h, n, d_h]; index: [b, h_kv, n]; returns [b, h, n, d_h].
    """
    b, h, n, d_h = x.shape
    h_kv = index.shape[1]
    by_token = x.transpose(1, 2).view(b, n, h_kv, h // h_kv, d_h)
    picked = by_token.gather(1, index.transpose(1, 2)[:, :, :, None, None].expand_as(by_token))
    return picked.view(b, n, h, d_h).transpose(1, 2)


def unbalanced_attention(
    q: TorchTensor, k: TorchTensor, v: TorchTensor, directions: TorchTensor, capacity: int, lsh: bool = False,
    causal: bool = False,
) -> TorchTensor:  # fmt: skip
    """Attention inside buckets, each filled up to `capacity` tokens. Arguments and result as of `attention`.

    A token beyond the capacity of its bucket attends to none, is attended by none, and gets 0.
    """
    _check(q, k, v, capacity, 1)
    b, h, n, d_h = q.shape
    h_kv = k.shape[1]
    group, count = h // h_kv, directions.shape[-1] * (2 if lsh else 1)
    with step("selection"), torch.no_grad():
        bucket = buckets(k, directions, lsh)
        token, rank, filled = slots(bucket, count, capacity)
        # The heads of a group one after the other: its rows for every slot, and the slot of every row.
        heads = torch.arange(group, device=q.device).unsqueeze(1)
        rows = (token.unsqueeze(3) + heads * n).flatten(2)
        back = (bucket.unsqueeze(2) * group + heads) * capacity + rank.clamp(max=capacity - 1).unsqueeze(2)
    with step("sorting"):
        q = _picked(q.reshape(b, h_kv, group * n, d_h), rows).view(b, h_kv, count, group * capacity, d_h)
        k, v = (_picked(x, token.flatten(2)).view(b, h_kv, count, capacity, d_h) for x in (k, v))
    with step("scores"):
        scores = q @ k.transpose(-2, -1) * d_h**-0.5
    with step("mask"):
        # A finite number: of an empty bucket all is hidden, and nothing must become NaN.
        scores = scores.masked_fill(_hidden(filled, capacity, group, causal), torch.finfo(q.dtype).min)
    with step("softmax"):
        weights = torch.softmax(scores, dim=-1)
    with step("values"):
        out = weights @ v
    with step("sorting"):
        out = _picked(out.view(b, h_kv, -1, d_h), back.flatten(2)).view(b, h_kv, group, n, d_h)
        return out.masked_fill((rank >= capacity)[:, :, None, :, None], 0.0).view(b, h, n, d_h)


def _hidden(filled: TorchTensor, capacity: int, group: int, causal: bool) -> TorchTensor:
    """True where a slot may not be seen from another: later ones [group·capacity, capacity]; or, if not causal, those
    beyond the `filled` ones [b, h_kv, t, 1, capacity]. Later than all tokens come the slots without one.
    """
    numbers = torch.arange(capacity, device=filled.device)
    if causal:
        return numbers > numbers.repeat(group).unsqueeze(1)
    return (numbers >= filled.unsqueeze(-1)).unsqueeze(-2)


def _picked(x: TorchTensor, index: TorchTensor) -> TorchTensor:
    """Rows of x [b, h_kv, rows, d_h] by number: [b, h_kv, picked, d_h] for an index [b, h_kv, picked]."""
    return x.gather(2, index.unsqueeze(-1).expand(*index.shape, x.shape[-1]))


def _check(q: TorchTensor, k: TorchTensor, v: TorchTensor, length: int, unit: int) -> None:
    """Raises ValueError for tensors that do not fit together or clusters of `length` units that do not fit; sizes that
    are symbols are not compared.
    """
    check_attention_shapes(q, k, v)
    n, m = q.shape[2], k.shape[2]
    if differ(n, m):
        raise ValueError(f"tokens are clustered by their keys: {n} queries need {n} keys, not {m}")
    if isinstance(n, int) and isinstance(length, int) and not 1 <= length <= (n + unit - 1) // unit:
        raise ValueError(f"clusters of {length * unit} tokens cannot be made of {n}")


def own_cluster(i: Any, j: Any, n: Any, m: Any, blocks: Any) -> Any:
    """The tokens of one cluster, all tokens numbered in sorted order."""
    return masks.block(i, j, n, m, blocks * BLOCK)


def own_cluster_causal(i: Any, j: Any, n: Any, m: Any, blocks: Any) -> Any:
    """Those of them that are not later."""
    return masks.causal_block(i, j, n, m, blocks * BLOCK)


def full_buckets(i: Any, j: Any, n: Any, m: Any, capacity: Any) -> Any:
    """As many pairs as buckets of at most `capacity` tokens can have: all of them full."""
    return masks.block(i, j, n, m, capacity)


def full_buckets_causal(i: Any, j: Any, n: Any, m: Any, capacity: Any) -> Any:
    """Those of them that are not later."""
    return masks.causal_block(i, j, n, m, capacity)


def _reference(q: TorchTensor, k: TorchTensor, v: TorchTensor, directions: TorchTensor) -> TorchTensor:
    """What the mathematics asks for, before the choice is applied to scores and values."""
    with step("selection"), torch.no_grad():
        direction_scores(k, directions)
    return standard.attention(q, k, v)


def _variants() -> Iterator[Variant]:
    for lsh, causal in product((False, True), repeat=2):
        options = {"assignment": "lsh" if lsh else "k-means", "balanced": True, "causal": causal}
        for width in HEAD_WIDTHS:
            yield from attention_variants(
                attention, _setting("blocks", lsh, causal, {"d_h": width}), options,
                predicate=own_cluster_causal if causal else own_cluster, reference=_reference,
                # The projections around it are the same wherever buckets come from.
                scopes=("core",) if lsh else ("core", "layer"), dtypes=("bfloat16", "float16"),
            )  # fmt: skip
        yield from attention_variants(
            unbalanced_attention, _setting("capacity", lsh, causal, {}), {**options, "balanced": False},
            predicate=full_buckets_causal if causal else full_buckets, reference=_reference, scopes=("core",),
        )  # fmt: skip


def _setting(size: str, lsh: bool, causal: bool, fixed: Mapping[str, int]) -> Setting:
    """How a function with the argument `size` for the length of its clusters is called."""
    balanced = size == "blocks"
    directions = Tensor("h_kv,d_h,t", "input" if lsh else "parameter")
    number = "ceiling(n/(2*c))" if lsh else "ceiling(n/c)"
    lengths = (f"{BLOCK} divides c", "c <= n") if balanced else (
        f"k <= n, {'2*' if lsh else ''}{number}*k >= n: k is the size of the largest bucket",
        "algorithmic FLOPs are the most that n tokens can ask for: all their buckets are of the largest size",
    )  # fmt: skip
    return Setting(
        {"directions": directions, size: Size(size), "lsh": lsh, "causal": causal},
        m="n", symbols=("n", size, "t"), fixed=fixed,
        substitutions=(("r", "h/h_kv"), ("t", number),
                       (size, f"c/{BLOCK}" if balanced else "k")),
        assumptions=("h_kv divides h", "m = n", *lengths,
                     "n/c buckets, of half as many directions" if lsh else "n/c buckets, one per centroid"),
        strided=balanced,
    )  # fmt: skip


TECHNIQUE = Technique(
    name="cluster",
    title="Cluster attention",
    section="2.3",
    implementation="triton",
    summary="Tokens with keys in a similar direction share a bucket, and attend to each other.",
    options={
        "assignment": Option(("k-means", "lsh"), "k-means", "buckets of the nearest centroid, or of random directions"),
        "balanced": Option((True, False), True, "clusters of c tokens; else c on average and k in the largest"),
        "causal": Option((False, True), False, "queries see no later keys"),
    },
    defaults={"c": 512, "k": 1024},
    claims=(
        Claim("2.3", "time", Formula("n*c*d"), "time O(nkd), with clusters of k = c positions"),
        Claim("2.3", "time", Formula("n*c*d"), "time O(nkd), the attention alone", step="attention kernel"),
        Claim("2.3", "space", Formula("n*c"), "space O(nk), with clusters of k = c positions"),
    ),
    variants=_variants,
)
