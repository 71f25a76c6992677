"""What open decoders have after their layers: an RMS norm, and heads with a bias or with capped logits."""

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.derive.subject import Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.steps import step
from tfcost.techniques.rotary import rms_norm

_CAP = 30.0


def logits(x: Tensor, table: Tensor, bias: Tensor | None = None, cap: bool = False) -> Tensor:
    """The language-model head. x: [b, n, d]; table: [V, d]; bias: [V]; `cap` bounds the logits by a tanh (Gemma 2);
    returns [b, n, V].
    """
    with step("head"):
        scores = F.linear(x, table, bias)
        return torch.tanh(scores / _CAP) * _CAP if cap else scores


def head_loss(x: Tensor, table: Tensor, targets: Tensor, bias: Tensor | None = None, cap: bool = False) -> Tensor:
    """Head and mean cross-entropy; targets: [b, n] integers; returns a scalar."""
    scores = logits(x, table, bias, cap)
    with step("loss"):
        return F.cross_entropy(scores.view(-1, table.shape[0]), targets.view(-1))


def _variants() -> Iterator[Variant]:
    x, table, targets = Shape("b,n,d"), Shape("V,d", "parameter"), Shape("b,n", "index")
    norm = Subject(rms_norm, {"x": x, "scale": Shape("d", "parameter")}, ("b", "n", "d"))
    yield Variant("part", {"part": "norm"}, norm, part="norm")
    for bias, cap in ((True, False), (False, True)):
        given = {"x": x, "table": table, **({"bias": Shape("V", "parameter")} if bias else {})}
        options = {"bias": bias, "softcap": cap}
        sizes = ("b", "n", "d", "V")
        yield Variant("part", {"part": "head", **options}, Subject(partial(logits, cap=cap), given, sizes), part="head")
        yield Variant("part", {"part": "head and loss", **options},
                      Subject(partial(head_loss, cap=cap), {**given, "targets": targets}, sizes),
                      part="head and loss")  # fmt: skip


TECHNIQUE = Technique(
    name="decoder-ends",
    title="Last norm and head of open decoders",
    section="1.3",
    implementation="torch",
    summary="An RMS norm after the last layer; logits with a bias, or capped by a tanh.",
    options={
        "part": Option(("norm", "head", "head and loss"), "norm", "the part"),
        "bias": Option((False, True), False, "a bias on the logits"),
        "softcap": Option((False, True), False, "logits capped by a tanh"),
    },
    variants=_variants,
)
