"""What data-parallel GPUs share out of a part (ZeRO 1-3), and what they exchange for it: costs of `data-parallel` in.

A part's gradients become one part in R of themselves when its backward pass ends (stages 2 and 3); its weights are
gathered when a pass of it begins and dropped when that ends (stage 3). R is D, or C*D: GPUs with other parts of a
sequence have the same weights, as those with other rows have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from tfcost.analysis.model.algebra import ZERO, added, collected, maximum, minus, over
from tfcost.analysis.model.part import Part
from tfcost.book import Book
from tfcost.config.parallelism import Parallelism
from tfcost.cost import Cost
from tfcost.formula import Formula
from tfcost.formula import tree as t

_STATE, _GRADIENTS, _WEIGHTS = 1, 2, 3
_X = Formula("X")


@dataclass(frozen=True)
class Sharing:
    """The stage of ZeRO, the number of GPUs with the same weights, and what exchanges cost, formulas of N weights and
    D GPUs.
    """

    stage: int
    replicas: Formula
    exchanges: Mapping[str, Cost]

    @classmethod
    def of(cls, parallelism: Parallelism, book: Book, dtype: str) -> "Sharing":
        """With the costs that `book` has for `dtype`."""
        names = ("mean gradient", "gradient shard", "updated weights", "gathered weights")
        found = {name: book.find("data-parallel", scope="part", pass_="forward", dtype=dtype, variant={"part": name},
                                 values={}) for name in names}  # fmt: skip
        replicas = Formula("C*D" if parallelism.context > 1 else "D")
        return cls(parallelism.zero, replicas, found)

    def per_step(self) -> list[Cost]:
        """What is exchanged of all weights once per step."""
        return [self.exchanges[name] for name in _PER_STEP[self.stage]]

    def per_pass(self) -> list[Cost]:
        """What is exchanged of all weights for every micro-batch."""
        return [self.exchanges[name] for name in _PER_PASS[self.stage]]

    def share_of_weights(self, size: Formula) -> Formula:
        """What one GPU keeps of them."""
        return self._share(size) if self.stage >= _WEIGHTS else size

    def share_of_gradients(self, size: Formula) -> Formula:
        """What one GPU keeps of them when a backward pass is through."""
        return self._share(size) if self.stage >= _GRADIENTS else size

    def share_of_state(self, size: Formula) -> Formula:
        """What of the weights one GPU's optimizer updates."""
        return self._share(size) if self.stage >= _STATE else size

    def copies(self, size: Formula) -> list[tuple[Formula, Formula]]:
        """Of so many weights or bytes, those that all replicas have, and those of experts, which are split among X of
        them; each with the number of GPUs that have the same.
        """
        tree = collected(size).tree
        terms = tree.terms if isinstance(tree, t.Sum) else (tree,)
        own = [term for term in terms if "X" in t.names(term)]
        if not own:
            return [(size, self.replicas)]
        rest = [term for term in terms if "X" not in t.names(term)]
        return [(Formula.of_tree(t.add(rest)), self.replicas), (Formula.of_tree(t.add(own)), over(self.replicas, _X))]

    def _share(self, size: Formula) -> Formula:
        return added(over(some, gpus) for some, gpus in self.copies(size))

    def taken(self, exchange: str, weights: Formula) -> Formula:
        """Bytes that an exchange of `weights` weights makes beside what it is given."""
        local = self.exchanges[exchange].composition["local_bytes"]
        return added(local.substitute({"N": some, "D": gpus}) for some, gpus in self.copies(weights))


_PER_STEP = {0: ["mean gradient"], 1: ["gradient shard", "updated weights"], 2: ["updated weights"], 3: []}
_PER_PASS = {0: [], 1: [], 2: ["gradient shard"], 3: ["gathered weights", "gathered weights", "gradient shard"]}


@dataclass(frozen=True)
class SharedPart(Part):
    """A part whose gradients, or weights too, are shared out."""

    sharing: Sharing | None = None

    @classmethod
    def of(cls, part: Part, sharing: Sharing) -> "SharedPart":
        """`part` under `sharing`."""
        return cls(**{field.name: getattr(part, field.name) for field in fields(Part)}, sharing=sharing)

    def training(self, name: str) -> Formula:
        """As `Part.training`, with what is gathered and what is shared out."""
        sharing, plain = self.sharing, super().training(name)
        assert sharing is not None
        weights = self.size("parameters")
        if name == "gradient_bytes":
            return sharing.share_of_gradients(plain)
        if sharing.stage < _GRADIENTS or weights == ZERO:
            return plain
        gathered = sharing.taken("gathered weights", weights) if sharing.stage >= _WEIGHTS else ZERO
        if name == "forward_local_bytes":
            return added([plain, gathered])
        if name == "backward_local_bytes":
            return maximum([added([plain, gathered]), self._ending(sharing, weights)])
        return plain

    def _ending(self, sharing: Sharing, weights: Formula) -> Formula:
        """The moment when all gradients are there and are exchanged, above what was alive when backward began: what
        forward kept is gone, the gradient of the input is there.
        """
        begun = [super(SharedPart, self).training(name) for name in ("saved_bytes", "output_bytes")]
        there = [super(SharedPart, self).training(name) for name in ("input_bytes", "gradient_bytes")]
        return minus(added([*there, sharing.taken("gradient shard", weights)]), *begun)
