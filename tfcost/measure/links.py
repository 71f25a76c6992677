"""A model that can be run: links, each a part's function with its weights, one after the other in one stack or two.

In: tokens. Out: the last hidden states, logits, or a loss; what a piece recomputes, torch's own checkpoint recomputes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from tfcost.derive.harness import Source, tensors_in

BIAS = "position bias"
"""How the part that makes a stack's bias is called."""

Weights = dict[str, Any]
Piece = tuple["tuple[Link, ...]", bool]


@dataclass(frozen=True, slots=True)
class Link:
    """One execution of a part: its function, its weights and sizes, its tables and caches; `data` are the names of what
    else it takes.
    """

    name: str
    function: Callable[..., torch.Tensor]
    weights: Weights
    constants: Weights
    data: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """The links in order, in pieces that are recomputed as a whole or not, of one stack or of two; tokens and targets
    of each stack; for a model without a vocabulary, how its input is made; the optimizer's function with what it keeps
    for each weight; and how many batches a step adds the gradients of.
    """

    stacks: tuple[tuple[Piece, ...], ...]
    data: tuple[Mapping[str, torch.Tensor], ...]
    make_x: Callable[[], torch.Tensor] | None
    update: Callable[..., object] | None = None
    state: list[Weights] = field(default_factory=list)
    batches: int = 1

    @property
    def links(self) -> tuple[Link, ...]:
        """All links in order."""
        return tuple(link for pieces in self.stacks for links, _ in pieces for link in links)

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Every weight once."""
        found = tensors_in([link.weights for link in self.links])
        return list({id(weight): weight for weight in found}.values())

    @property
    def constants(self) -> list[torch.Tensor]:
        """Every table and cache once."""
        found = tensors_in([link.constants for link in self.links])
        return list({id(one): one for one in found}.values())

    def __call__(self) -> torch.Tensor:
        """Forward: the last hidden states, the logits, or in training the loss."""
        result = _through_stack(self.stacks[0], dict(self.data[0]), self.make_x)
        if len(self.stacks) == 1:
            return result
        # The first stack's output is what every layer of the second one attends to.
        return _through_stack(self.stacks[1], {**self.data[1], "memory": result}, None)

    def step(self) -> None:
        """The optimizer's step, weight by weight."""
        if self.update is not None:
            with torch.no_grad():
                for weight, state in zip(self.parameters, self.state, strict=True):
                    assert weight.grad is not None
                    self.update(weight=weight.view(-1), gradient=weight.grad.view(-1), **state)


def _through_stack(
    pieces: Sequence[Piece], given: dict[str, torch.Tensor], make_x: Callable[[], torch.Tensor] | None
) -> torch.Tensor:
    """One stack; `given` is what its links take beside their input and their weights, a bias once it is made."""
    # The leaf that makes autograd follow an input without a vocabulary; it has no elements.
    x: torch.Tensor | None = None
    if make_x is not None:
        x = Source.apply(torch.empty(0, requires_grad=True), make_x)  # type: ignore[no-untyped-call]
    for links, recomputed in pieces:
        if recomputed:
            # Nothing here is random: no state to go back to.
            x = checkpoint(partial(_through, links, given), x, use_reentrant=False, preserve_rng_state=False)
            continue
        for link in links:
            if link.name.endswith(BIAS):
                given["bias"] = _run(link, given, None)
            else:
                x = _run(link, given, x)
    assert x is not None
    return x


def _through(links: Sequence[Link], given: Mapping[str, torch.Tensor], x: torch.Tensor | None) -> torch.Tensor | None:
    for link in links:
        x = _run(link, given, x)
    return x


def _run(link: Link, given: Mapping[str, torch.Tensor], x: torch.Tensor | None) -> torch.Tensor:
    taken = {"x": x} if "x" in link.data else {}
    others = {name: given[name] for name in link.data if name != "x"}
    return link.function(**taken, **others, **link.weights, **link.constants)
