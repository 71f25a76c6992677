"""Which bucket each token goes to, and the order of the tokens by bucket.

In: the keys of each key/value head. Out: integers, which have no gradient.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Slots(NamedTuple):
    """Buckets as rows of slots: each slot's `token` [b, h_kv, t, capacity] (some token, if nobody is there), each
    token's `rank` in its bucket [b, h_kv, n], and how many tokens a bucket has, `filled` [b, h_kv, t].
    """

    token: Tensor
    rank: Tensor
    filled: Tensor


def buckets(k: Tensor, directions: Tensor, lsh: bool) -> Tensor:
    """The bucket of every token: of the directions, the one with the largest inner product with its key.

    k: [b, h_kv, n, d_h]; returns [b, h_kv, n]. `directions` [h_kv, d_h, t] are centroids of unit length, of which the
    nearest is taken (spherical k-means); with `lsh`, t/2 random ones, which stand for their opposites too.
    """
    scores = direction_scores(k, directions)
    if lsh:
        scores = torch.cat([scores, -scores], dim=-1)
    return scores.argmax(dim=-1)


def direction_scores(k: Tensor, directions: Tensor) -> Tensor:
    """Inner products of keys and directions, [b, h_kv, n, t]."""
    return k @ directions


def places(order: Tensor) -> Tensor:
    """Where each token went: the inverse of the permutation `order` of the last dimension."""
    numbers = torch.arange(order.shape[-1], device=order.device)
    return torch.empty_like(order).scatter_(-1, order, numbers.expand_as(order))


def slots(bucket: Tensor, count: int, capacity: int) -> Slots:
    """The slots of `count` buckets, filled in the order of the sequence, for the `bucket` of every token."""
    ordered, order = bucket.sort(dim=-1, stable=True)
    numbers = torch.arange(count, device=bucket.device).repeat(*bucket.shape[:-1], 1)
    starts, ends = (torch.searchsorted(ordered, numbers, right=right) for right in (False, True))
    place = (starts.unsqueeze(-1) + torch.arange(capacity, device=bucket.device)).clamp(max=bucket.shape[-1] - 1)
    token = order.gather(-1, place.flatten(2)).view(place.shape)
    return Slots(token, places(order) - starts.gather(-1, bucket), ends - starts)
