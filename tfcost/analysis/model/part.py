"""A part of a model: the costs that the book has for it, and what its symbols are in the model's.

Two layers may give the same symbol different values (the width of a dense network and that of another one): the model
then has a symbol for each, `f` and `f_2`. A part knows what its own symbols are called there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tfcost.analysis.model.algebra import ONE, ZERO, added, collected, minus, times
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

Values = Mapping[str, int | Fraction]


@dataclass(frozen=True)
class Part:
    """One link of the chain: its `name`, how often it runs in all, and its costs per pass.

    `forward` is the pass without gradients that is asked for (forward or decode), `backward` that of a training step,
    `recomputed` the same where only the input was kept; `weights` the cost whose parameters count. `meanings` are the
    part's symbols in those of the model, `values` their values and those of all other sizes of its layer; `cached` are
    the bytes of keys and values that it keeps, in the model's symbols. What it `shares` ("bias", "memory") is given to
    all parts of its kind, and each returns a gradient for it.
    """

    name: str
    count: Formula
    forward: Cost
    backward: Cost | None
    recomputed: Cost | None = None
    weights: Cost | None = None
    cached: Formula = ZERO
    paged: Formula = ZERO
    meanings: Mapping[str, Formula] = field(default_factory=dict)
    weight_meanings: Mapping[str, Formula] = field(default_factory=dict)
    shares: str = ""
    values: Values = field(default_factory=dict)

    def told(self, formula: Formula) -> Formula:
        """A formula of the part's costs in the model's symbols."""
        changed = {name: meaning for name, meaning in self.meanings.items() if meaning.text != name}
        return formula.substitute(changed) if formula.symbols & changed.keys() else formula

    def size(self, name: str) -> Formula:
        """A quantity of the weights (`parameters`, `parameter_bytes`), 0 if the part has none."""
        cost = self.weights or self.forward
        quantity = cost.quantities.get(name)
        return quantity.exact.substitute(self.weight_meanings) if quantity else ZERO

    def inference(self, name: str) -> Formula:
        """`given_bytes`, `input_bytes` or `local_bytes`."""
        return self.told(self.forward.composition[name])

    def beside(self) -> Formula:
        """Bytes of what the part is given beside its input and its weights: tokens, targets, tables, caches."""
        held = self.forward.quantities.get("parameter_bytes")
        own = self.told(held.exact) if held else ZERO
        return collected(minus(self.inference("given_bytes"), own, self.inference("input_bytes")))

    @property
    def shared_bytes(self) -> Formula:
        """Bytes of what it shares, 0 if there is nothing."""
        return self.beside() if self.shares else ZERO

    @property
    def gradient_bytes(self) -> Formula:
        """Bytes of the gradients of its weights, which its backward pass leaves."""
        left = self.training("gradient_bytes")
        return minus(left, self.shared_bytes) if self.shares else left

    def training(self, name: str) -> Formula:
        """One of the sizes of the training passes (see `trace_part`); UserError without a backward pass."""
        if self.backward is None:
            raise UserError(f"{self.forward.technique} has no backward pass in the book: --pass forward only")
        return self.told(self.backward.composition.get(name, ZERO))

    def recomputing(self, name: str) -> Formula:
        """The same where the part keeps its input alone; UserError if the book has no such cost."""
        if self.recomputed is None:
            raise UserError(f"{self.forward.technique} has no cost in the book for being recomputed")
        return self.told(self.recomputed.composition[name])


def cache_bytes(decode: Cost, part_symbols: Iterable[str] = ("b", "m")) -> Formula:
    """Bytes of keys and values in what a decode step is given: what grows with the batch and the tokens kept."""
    needed = set(part_symbols)
    tree = collected(decode.composition["given_bytes"]).tree
    terms = tree.terms if isinstance(tree, t.Sum) else (tree,)
    return Formula.of_tree(t.add([term for term in terms if needed <= set(t.names(term))]))


def total_of(parts: Iterable[tuple[Formula, Part]], name: str) -> Formula:
    """The sum of a quantity of weights over parts, each so often."""
    return added(times(count, part.size(name)) if count != ONE else part.size(name) for count, part in parts)
