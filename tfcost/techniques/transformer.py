"""What a transformer has besides its blocks: embedding, last norm, language-model head, loss, optimizer."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.derive.subject import Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Claim, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques.layers import layer_norm


def embed(
    tokens: Tensor, table: Tensor, positions: Tensor | None = None, segments: Tensor | None = None,
    scale: Tensor | None = None, shift: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Token rows, plus learned positions, plus segment 0 (BERT), then a norm if it has one. tokens: [b, n] integers;
    table: [V, d]; positions: [P, d] with P >= n; segments: [S, d]; returns [b, n, d].
    """
    with step("embedding"):
        x = F.embedding(tokens, table)
        if positions is not None:
            x = x + F.embedding(torch.arange(tokens.shape[1], device=tokens.device), positions)
        if segments is not None:
            x = x + F.embedding(torch.zeros_like(tokens), segments)
    return layer_norm(x, scale, shift) if scale is not None else x


def logits(x: Tensor, table: Tensor) -> Tensor:
    """The language-model head. x: [b, n, d]; table: [V, d]; returns [b, n, V]."""
    with step("head"):
        return F.linear(x, table)


def head_loss(x: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """Head and mean cross-entropy. x: [b, n, d]; table: [V, d]; targets: [b, n] integers; returns a scalar."""
    scores = logits(x, table)
    with step("loss"):
        return F.cross_entropy(scores.view(-1, table.shape[0]), targets.view(-1))


def plain_loss(x: Tensor) -> Tensor:
    """A loss for a model without a head: the mean of its output. x: [b, n, d]; returns a scalar."""
    with step("loss"):
        return x.mean()


def adamw(weight: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step_number: int = 1) -> Tensor:
    """One AdamW update in place (Loshchilov and Hutter 2019, algorithm 2). All tensors: [N]; returns weight."""
    rate, beta_1, beta_2, epsilon, decay = 1e-3, 0.9, 0.999, 1e-8, 0.01
    with step("optimizer"):
        weight.mul_(1 - rate * decay)
        first.mul_(beta_1).add_(gradient, alpha=1 - beta_1)
        second.mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
        size = rate / (1 - beta_1**step_number)
        scale = (1 - beta_2**step_number) ** -0.5
        return weight.addcdiv_(first, second.sqrt().mul_(scale).add_(epsilon), value=-size)


def sgd(weight: Tensor, gradient: Tensor) -> Tensor:
    """One step of plain gradient descent in place. Both: [N]; returns weight."""
    with step("optimizer"):
        return weight.add_(gradient, alpha=-1e-3)


def _variants() -> Iterator[Variant]:
    for positions in (False, True):
        for segments in (False, True):
            for norm in (False, True):
                yield _embedding(positions, segments, norm)
    norm_weights = {name: Shape("d", "parameter") for name in ("scale", "shift")}
    x, table = Shape("b,n,d"), Shape("V,d", "parameter")
    targets = Shape("b,n", "index")
    yield _part("norm", layer_norm, {"x": x, **norm_weights}, ("b", "n", "d"))
    yield _part("head", logits, {"x": x, "table": table}, ("b", "n", "d", "V"))
    yield _part("head and loss", head_loss, {"x": x, "table": table, "targets": targets}, ("b", "n", "d", "V"))
    yield _part("loss", plain_loss, {"x": x}, ("b", "n", "d"))
    for name, update, tensors in (("sgd", sgd, 2), ("adamw", adamw, 4)):
        names = ("weight", "gradient", "first", "second")[:tensors]
        yield _part(name, update, {each: Shape("N") for each in names}, ("N",), backward=False)


def _part(name: str, function: Callable[..., object], arguments: dict[str, Shape], sizes: tuple[str, ...],
          backward: bool = True, **options: object) -> Variant:  # fmt: skip
    subject = Subject(function, arguments, sizes)
    return Variant("part", {"part": name, **options}, subject, part=name, backward=backward)


def _embedding(positions: bool, segments: bool, norm: bool) -> Variant:
    arguments = {"tokens": Shape("b,n", "index"), "table": Shape("V,d", "parameter")}
    if positions:
        arguments["positions"] = Shape("P,d", "parameter")
    if segments:
        arguments["segments"] = Shape("S,d", "parameter")
    if norm:
        arguments |= {name: Shape("d", "parameter") for name in ("scale", "shift")}
    sizes = ("b", "n", "d", "V", *(["P"] if positions else []), *(["S"] if segments else []))
    return _part("embedding", embed, arguments, sizes, positions=positions, segments=segments, norm=norm)


TECHNIQUE = Technique(
    name="transformer",
    title="Transformer of L layers",
    section="1.3",
    implementation="torch",
    summary="Embedding, L blocks of attention and feed-forward network, head: each part derived once, L a symbol.",
    claims=(
        Claim("1.3", "time", Formula("L*n**2*d + L*n*d**2"), "total time: attention O(Ln²d + Lnd²) + FFN O(Lnd²)"),
        Claim(
            "1.3",
            "space",
            Formula("L*n**2 + L*d**2 + L*n*d"),
            "total space: attention O(L(n² + d²)) + FFN O(L(nd + d²))",
        ),
    ),
    variants=_variants,
)
