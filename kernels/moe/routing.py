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
    rows first[i]..stop[i]-1 of expert[i], at least one and B_M at most. There are `tiles` [1] of them; the map has room
    for the worst case, ceil(T*k/B_M) + E, and what stands beyond the last one means nothing.
    """

    order: Tensor
    starts: Tensor
    ends: Tensor
    expert: Tensor
    first: Tensor
    stop: Tensor
    tiles: Tensor


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
    per_expert = (ends - starts + (rows - 1)) // rows
    tiles_up_to = per_expert.cumsum(0)
    most = (by_row.shape[0] + rows - 1) // rows + expert_count
    index = torch.arange(most, device=experts.device)
    # Places beyond the last tile fall to the last expert: every index below stays in range.
    expert = torch.searchsorted(tiles_up_to, index, right=True).clamp(max=expert_count - 1)
    first = starts[expert] + (index - (tiles_up_to - per_expert)[expert]) * rows
    stop = torch.minimum(first + rows, ends[expert])
    maps = (order, starts, ends, expert, first, stop, tiles_up_to[-1:])
    return Plan(*(tensor.to(torch.int32) for tensor in maps))
