"""What all layers of a stack are given beside their input: a bias made once, the encoder's output; and its gradients.

Both are held while their stack runs forward. The encoder's output is kept for backward; so is the sum of the gradients
for each, from the first layer that returns one until the part that made it has its turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tfcost.analysis.model.algebra import ONE
from tfcost.analysis.model.part import Part
from tfcost.analysis.model.runs import Run
from tfcost.formula import Formula

BIAS, MEMORY = "bias", "memory"


@dataclass(frozen=True, slots=True)
class Shared:
    """What the `runs` of a model share, stage by stage."""

    runs: Sequence[Run]

    def forward(self, index: int, part: Part) -> Iterator[Formula]:
        """Bytes held while `part` of the run at `index` runs forward; a bias is not there before it is made."""
        for name, size in self._sizes(index).items():
            if not (name == BIAS and _makes_bias(part)):
                yield size

    def backward(self, index: int, place: int, first: bool) -> Iterator[Formula]:
        """Bytes held while the part at `place` of that run goes backward, in the `first` or last repetition: what is
        kept, and the gradients that later parts have returned.
        """
        part = self.runs[index].parts[place]
        for name, size in self._sizes(index).items():
            # In the last repetition that goes backward, the parts before the first user have outlived what it kept.
            outlived = (index, place) < self._first_user(index, name) and (first or self.runs[index].count == ONE)
            if name == MEMORY and not outlived:
                yield size
            if self._begun(index, place, first, name) and not (name == BIAS and _makes_bias(part)):
                yield size

    def _sizes(self, index: int) -> dict[str, Formula]:
        stage = self.runs[index].stage
        return {part.shares: part.shared_bytes for run in self.runs if run.stage == stage
                for part in run.parts if part.shares}  # fmt: skip

    def _begun(self, index: int, place: int, first: bool, name: str) -> bool:
        """Whether a part that comes after has returned a gradient for `name`."""
        run = self.runs[index]
        later = any(part.shares == name for other in self.runs[index + 1 :] if other.stage == run.stage
                    for part in other.parts)  # fmt: skip
        same = any(part.shares == name for part in run.parts[place + 1 :])
        repeated = first and run.count != ONE and any(part.shares == name for part in run.parts)
        return later or same or repeated

    def _first_user(self, index: int, name: str) -> tuple[int, int]:
        stage = self.runs[index].stage
        return min((number, place) for number, run in enumerate(self.runs) if run.stage == stage
                   for place, part in enumerate(run.parts) if part.shares == name)  # fmt: skip


def _makes_bias(part: Part) -> bool:
    return part.forward.variant.get("part") == "position bias"
