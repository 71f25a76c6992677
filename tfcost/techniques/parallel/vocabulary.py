"""Embedding and head on one of T GPUs, each with the rows of the table for V/T words (Shoeybi et al. 2019, section 3).

The loss is computed without gathering the logits: per row its maximum, the sum of exponentials and the logit of the
target are summed over the GPUs. Words are integers; this GPU's begin at rank·V/T.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor as TorchTensor

from tfcost.collectives import Group, all_gather, all_reduce_, all_reduce_max_
from tfcost.derive.subject import Size, Tensor
from tfcost.derive.technique import Variant
from tfcost.steps import step
from tfcost.techniques.layers import layer_norm
from tfcost.techniques.parallel.exchange import Kept, copied, gathered, reduced, scattered
from tfcost.techniques.parallel.parts import ALL, ROWS, length_of, part_variant
from tfcost.techniques.rotary import rms_norm


def embed(
    tokens: TorchTensor, table: TorchTensor, group: Group, rows: int | None = None, positions: TorchTensor | None = None
) -> TorchTensor:
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


def last_norm(x: TorchTensor, group: Group, scale: TorchTensor, shift: TorchTensor | None = None) -> TorchTensor:
    """Norm of this GPU's rows: layer norm, or RMS norm without a shift. x: [rows, d]; scale, shift: [d]."""
    of_all = copied(scale, group)
    return rms_norm(x, of_all) if shift is None else layer_norm(x, of_all, copied(shift, group))


def head_loss(
    x: TorchTensor, table: TorchTensor, targets: TorchTensor, group: Group, rows: int | None = None
) -> TorchTensor:
    """Mean cross-entropy. x: [b, n, d], or with `rows` = b·n this GPU's rows [rows/T, d]; table: [V/T, d]; targets:
    [b, n]; returns a scalar, the same on every GPU.
    """
    with step("head"):
        if rows is None:
            scores = F.linear(copied(x, group), table)
        else:
            own = x.detach()
            kept = Kept(lambda: all_gather(own, group, rows))
            every = gathered(x, kept, group, rows)
            with kept.instead_of(every):
                scores = F.linear(every, table)
            del every
    with step("loss"):
        losses: TorchTensor = _CrossEntropy.apply(scores.view(-1, table.shape[0]), targets.view(-1), group)  # type: ignore[no-untyped-call]
        return losses.mean()


def _own_words(words: TorchTensor, count: int, group: Group) -> tuple[TorchTensor, TorchTensor]:
    """`words` counted from this GPU's first one, 0 for those of other GPUs; and which those are."""
    own = words - group.rank * count
    outside = (own < 0) | (own >= count)
    return own.masked_fill_(outside, 0), outside


class _CrossEntropy(torch.autograd.Function):
    """-log softmax of the target, per row; keeps the softmax of this GPU's words."""

    @staticmethod
    def forward(ctx: Any, scores: TorchTensor, targets: TorchTensor, group: Group) -> TorchTensor:
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
    def backward(ctx: Any, gradient: TorchTensor) -> tuple[TorchTensor, None, None]:
        softmax, own, outside = ctx.saved_tensors
        target = torch.zeros_like(softmax).scatter_(1, own.unsqueeze(1), (~outside).to(softmax.dtype).unsqueeze(1))
        return (softmax - target).mul_(gradient.unsqueeze(-1)), None, None


def variants(rows: str) -> Iterator[Variant]:
    """Embedding, head and loss; and the last norm, which is that of one GPU where rows are whole."""
    split = rows == "split"
    own = {"rows": Size("b*j")} if split else {}
    words = Tensor(f"b,{ALL}" if split else "b,n", "index")
    sizes = ("b", length_of(rows), "d", "V")
    x, table = Tensor(ROWS[rows]), Tensor("V,d", "parameter")
    for positions in (False, True):
        more = {"positions": Tensor("P,d", "parameter")} if positions else {}
        options = {"part": "embedding", "rows": rows, "positions": positions}
        arguments = {"tokens": words, "table": table, **more, **own}
        yield part_variant("part", options, embed, arguments, (*sizes, *(["P"] if positions else [])))
    if split:
        for kind, names in (("layer", ("scale", "shift")), ("rms", ("scale",))):
            arguments = {"x": x, **{name: Tensor("d", "parameter") for name in names}}
            options = {"part": "norm", "rows": rows, "norm_kind": kind}
            yield part_variant("part", options, last_norm, arguments, ("b", "j", "d"))
    every = {"rows": Size(f"b*{ALL}")} if split else {}
    arguments = {"x": x, "table": table, "targets": words, **every}
    yield part_variant("part", {"part": "head and loss", "rows": rows}, head_loss, arguments, sizes)
