"""Embedding and head on one of T GPUs, each with the rows of the table for V/T words (Shoeybi et al. 2019, section 3).

The loss is computed without gathering the logits: per row its maximum, the sum of exponentials and the logit of the
target are summed over the GPUs. Words are integers; this GPU's begin at rank·V/T.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.collectives import Group, all_reduce_, all_reduce_max_
from tfcost.steps import step
from tfcost.techniques.layers import layer_norm
from tfcost.techniques.parallel.blocks import own_weights
from tfcost.techniques.parallel.exchange import copied, gathered_linears, reduced, scattered


def embed(
    tokens: Tensor, table: Tensor, group: Group, rows: int | None = None, positions: Tensor | None = None
) -> Tensor:
    """Token rows plus learned positions. tokens: [b, n]; table: [V/T, d]; positions: [P, d]; returns [b, n, d], or this
    GPU's `rows` rows of them, [rows, d].
    """
    with step("embedding"):
        own, outside = _own_words(tokens, table.shape[0], group)
        x = F.embedding(own, table).masked_fill_(outside.unsqueeze(-1), 0)
        if rows is None:
            x = reduced(x, group)
            place = torch.arange(tokens.shape[1], device=tokens.device)
        else:
            x = scattered(x.view(-1, table.shape[1]), group, rows)
            place = (torch.arange(rows, device=tokens.device) + group.rank * rows) % tokens.shape[1]
            positions = None if positions is None else copied(positions, group)
        return x if positions is None else x + F.embedding(place, positions)


def last_norm(x: Tensor, scale: Tensor, shift: Tensor, group: Group) -> Tensor:
    """Layer norm of this GPU's rows. x: [rows, d]; scale, shift: [d]."""
    return layer_norm(x, *own_weights(group, scale, shift))


def head_loss(x: Tensor, table: Tensor, targets: Tensor, group: Group, rows: int | None = None) -> Tensor:
    """Mean cross-entropy. x: [b, n, d], or with `rows` = b·n this GPU's rows [rows/T, d]; table: [V/T, d]; targets:
    [b, n]; returns a scalar, the same on every GPU.
    """
    with step("head"):
        if rows is None:
            scores = F.linear(copied(x, group), table)
        else:
            (scores,) = gathered_linears(x, (table,), (None,), group, rows)
    with step("loss"):
        losses: Tensor = _CrossEntropy.apply(scores.view(-1, table.shape[0]), targets.view(-1), group)  # type: ignore[no-untyped-call]
        return losses.mean()


def _own_words(words: Tensor, count: int, group: Group) -> tuple[Tensor, Tensor]:
    """`words` counted from this GPU's first one, 0 for those of other GPUs; and which those are."""
    own = words - group.rank * count
    outside = (own < 0) | (own >= count)
    return own.masked_fill_(outside, 0), outside


class _CrossEntropy(torch.autograd.Function):
    """-log softmax of the target, per row; keeps the softmax of this GPU's words."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, targets: Tensor, group: Group) -> Tensor:
        most = all_reduce_max_(scores.amax(-1), group)
        shifted = scores - most.unsqueeze(-1)
        own, outside = _own_words(targets, scores.shape[1], group)
        of_target = shifted.gather(1, own.unsqueeze(1)).squeeze(1).masked_fill_(outside, 0)
        of_target = all_reduce_(of_target, group)
        softmax = shifted.exp_()
        total = all_reduce_(softmax.sum(-1), group)
        softmax.div_(total.unsqueeze(-1))
        ctx.save_for_backward(softmax, own, outside)
        return total.log() - of_target

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        softmax, own, outside = ctx.saved_tensors
        target = torch.zeros_like(softmax).scatter_(1, own.unsqueeze(1), (~outside).to(softmax.dtype).unsqueeze(1))
        return (softmax - target).mul_(gradient.unsqueeze(-1)), None, None
