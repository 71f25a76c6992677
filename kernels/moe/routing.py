"""Routing in plain torch: which experts a token goes to, and the order and tiles in which the kernels visit rows.

In: x [T,d] and the router's weights [E,d]. Out: weights and experts [T,k]; from these a `Plan`. No size depends on
data, so nothing waits for the GPU and sizes may be symbolic.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Plan(NamedTuple):
    """Rows sorted by expert. A slot is a (token, choice) pair, numbered token*k + choice. All int32.

    `order` [T*k] gives each sorted row's slot; the rows starts[e]..ends[e]-1 belong to expert e. Row tile i holds the
    rows first[i].. below stop[i] of expert[i]; the tiles are as many as the worst case needs, ceil(T*k/B_M) + E, and
    those beyond the real ones have first >= stop.
    """

    order: Tensor
    starts: Tensor
    ends: Tensor
    expert: Tensor
    first: Tensor
    stop: Tensor


def route(x: Tensor, w_router: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The softmax of the k likeliest experts per token, renormalised to sum 1: (weights fp32, experts int64), [T,k]."""
    probabilities = F.linear(x, w_router).float().softmax(-1)
    chosen, experts = probabilities.topk(k, dim=-1)
    return chosen / chosen.sum(-1, keepdim=True), experts


def plan(experts: Tensor, expert_count: int, rows: int) -> Plan:
    """The plan for `experts` [T,k] and row tiles of `rows` rows."""
    by_row, order = experts.reshape(-1).sort(stable=True)
    every = torch.arange(expert_count, device=experts.device)
    starts, ends = (torch.searchsorted(by_row, every, right=right) for right in (False, True))
    tiles = (ends - starts + (rows - 1)) // rows
    tiles_up_to = tiles.cumsum(0)
    most = (by_row.shape[0] + rows - 1) // rows + expert_count
    index = torch.arange(most, device=experts.device)
    # Tiles beyond the end fall to the last expert, past its last row.
    expert = torch.searchsorted(tiles_up_to, index, right=True).clamp(max=expert_count - 1)
    first = starts[expert] + (index - (tiles_up_to - tiles)[expert]) * rows
    return Plan(*(tensor.to(torch.int32) for tensor in (order, starts, ends, expert, first, ends[expert])))
