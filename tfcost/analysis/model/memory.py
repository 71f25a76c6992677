"""What memory holds at one moment, told apart by what it is for: sums of formulas that add up to the moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tfcost.analysis.model.algebra import ZERO, added, maximum
from tfcost.formula import Formula
from tfcost.formula import tree as t

CATEGORIES = {
    "parameters": "weights",
    "gradients": "gradients of the weights",
    "state": "what the optimizer keeps: moments, scales, a master copy",
    "activations": "what forward keeps for backward, in all layers",
    "logits": "what the head and the loss keep and make",
    "cache": "keys and values of earlier tokens",
    "data": "tokens, targets, tables of positions",
    "workspace": "input and output of the part that runs, and what it makes on the way, new gradients too",
}
"""What memory is for, in the order in which it is told."""

Held = Mapping[str, tuple[Formula, ...]]

LAST = ("head", "loss")
"""The parts that make logits, or a loss without them."""


@dataclass(frozen=True, slots=True)
class Alive:
    """Bytes alive at one moment: `all` of them as sums, and by the keys of `CATEGORIES`."""

    all: tuple[Formula, ...] = ()
    held: Held = field(default_factory=dict)

    def plus(self, category: str, *more: Formula) -> "Alive":
        """The same with `more` of a category."""
        found = tuple(one for one in more if one != ZERO)
        return Alive((*self.all, *found), _with(self.held, category, found))

    def running(self, part: str, kept: Formula, *made: Formula) -> "Alive":
        """The same with the part that runs: what it has `kept` of its forward pass, and what it has `made`, which is
        less than nothing where it has let go of more.
        """
        if part in LAST:
            return self.plus("logits", kept, *made)
        if kept == ZERO:
            return self.plus("workspace", *made)
        rise = added(made)
        released = Formula.of_tree(t.call("Min", [ZERO.tree, rise.tree]))
        held = _with(self.held, "activations", (kept, released))
        return Alive((*self.all, kept, *made), _with(held, "workspace", (maximum([ZERO, rise]),)))

    @property
    def total(self) -> Formula:
        """All of it."""
        return added(self.all)

    @property
    def categories(self) -> dict[str, Formula]:
        """The sum of every category that there is; together they are the total."""
        return {name: added(self.held[name]) for name in CATEGORIES if name in self.held}


def _with(held: Held, category: str, more: tuple[Formula, ...]) -> Held:
    return {**held, category: (*held.get(category, ()), *more)} if more else held
