"""Peak memory of a training step: runs of parts and a recomputation policy in; bytes alive at each possible peak out.

In a chain nobody else holds a part's input or output, so the memory alive when a part begins is a sum over the parts
before it (what they left) and, backward, over the parts after it (gradients of their weights). What grows or shrinks
from repetition to repetition of a run does so evenly: the first and the last one stand for all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tfcost.analysis.model.algebra import ONE, ZERO, added, collected, minus, over, times
from tfcost.analysis.model.memory import Alive
from tfcost.analysis.model.part import Part
from tfcost.analysis.model.runs import Run
from tfcost.analysis.model.shared import Shared
from tfcost.config.model import Training
from tfcost.errors import UserError
from tfcost.formula import Formula

Moments = dict[str, Alive]


Gradients = Callable[[Part], Formula]
"""Bytes that the backward pass of a part leaves: those of its weights' gradients."""


def gradients_of(part: Part) -> Formula:
    """All of them, in a step of one batch."""
    return part.gradient_bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """Parts of one repetition that are kept as a whole, or recomputed as a whole from the input of the first."""

    parts: tuple[Part, ...]
    recomputed: bool

    @property
    def left(self) -> Formula:
        """What its forward pass leaves."""
        if self.recomputed:
            return self.parts[0].recomputing("saved_bytes")
        return added(part.training("saved_bytes") for part in self.parts)

    def gradients(self, new: Gradients) -> Formula:
        """What its backward pass leaves."""
        return added(map(new, self.parts))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run as the policy divides it: `pieces` in a row, `count` times; every piece stands for `repeated` repetitions
    of the run's pattern, which are recomputed together.
    """

    pieces: tuple[Piece, ...]
    count: Formula
    repeated: Formula = ONE

    @property
    def left(self) -> Formula:
        """What one repetition leaves."""
        return added(piece.left for piece in self.pieces)

    def gradients(self, new: Gradients) -> Formula:
        """The gradients that one repetition leaves."""
        return times(self.repeated, added(piece.gradients(new) for piece in self.pieces))


def divided(run: Run, training: Training) -> Stretch:
    """The run as a training step's policy keeps it. UserError for a spacing that does not fit the run's pattern."""
    policy = training.recompute
    if run.parts[0].recomputed is None or policy == "none":
        return Stretch((Piece(run.parts, False),), run.count)
    if policy == "full":
        return Stretch(tuple(Piece(layer, True) for layer in run.layers), run.count)
    if policy == "selective":
        pieces = tuple(Piece((part,), "attention" in part.name) for layer in run.layers for part in layer)
        if not any(piece.recomputed for piece in pieces):
            raise UserError("recompute: selective: these layers have no attention apart from their network")
        return Stretch(pieces, run.count)
    assert training.every is not None
    if training.every % len(run.layers):
        raise UserError(f"every: {training.every} layers are no whole number of patterns of {len(run.layers)} layers")
    repeated = over(Formula("s"), Formula(str(len(run.layers))))
    return Stretch((Piece(run.parts, True),), collected(over(run.count, repeated)), repeated)


def training_moments(
    runs: Sequence[Run], stretches: Sequence[Stretch], held: Alive, new: Gradients = gradients_of
) -> Moments:
    """Bytes alive at the highest moment of each part and pass; `held` is there during the whole step, `new` what the
    backward pass of a part adds to it. `stretches` are the `runs` as the policy divides them.
    """
    shared = Shared(runs)
    moments: Moments = {}
    for index, stretch in enumerate(stretches):
        before = [times(other.count, other.left) for other in stretches[:index]]
        after = [times(other.count, other.gradients(new)) for other in stretches[index + 1 :]]
        single = stretch.count == ONE
        for place in ("",) if single else ("first", "last"):
            others = minus(stretch.count, ONE)
            kept = [times(others, stretch.left)] if place == "last" else []
            later = [times(others, stretch.gradients(new))] if place == "first" else []
            start = held.plus("activations", *before, *kept)
            here = (index, place != "last")
            for name, moment in _Repetition(stretch, start, added([*after, *later]), new, shared, here).moments():
                moments[name.format(f", {place} layer" if place else "")] = moment
    return moments


@dataclass(frozen=True, slots=True)
class _Repetition:
    """One repetition of a stretch: `start` is alive when it begins, `gradients` are those of all that comes after;
    `here` is the run's place among those that have things `shared`, and whether this is its first repetition.
    """

    stretch: Stretch
    start: Alive
    gradients: Formula
    new: Gradients
    shared: Shared
    here: tuple[int, bool]

    def moments(self) -> Iterator[tuple[str, Alive]]:
        """Wherever memory may be highest in it."""
        for index, piece in enumerate(self.stretch.pieces):
            begin = self.start.plus("activations", *(other.left for other in self.stretch.pieces[:index]))
            later = [self.gradients, *(other.gradients(self.new) for other in self.stretch.pieces[index + 1 :])]
            if piece.recomputed:
                yield from self._recomputed(piece.parts, begin, added(later))
            else:
                yield from self._kept(piece.parts, begin, added(later))

    def _kept(self, parts: Sequence[Part], start: Alive, gradients: Formula) -> Iterator[tuple[str, Alive]]:
        for index, part in enumerate(parts):
            begin = start.plus("activations", *(other.training("saved_bytes") for other in parts[:index]))
            run, first = self.here
            ahead = begin.plus("workspace", *self.shared.forward(run, part))
            yield f"{part.name}{{}}, forward", _forward(part, ahead, part.training("forward_local_bytes"))
            back = begin.plus("activations", *self.shared.backward(run, self._place(part, index), first))
            yield f"{part.name}{{}}, backward", self._backward(parts, index, back, gradients)

    def _place(self, part: Part, index: int) -> int:
        """Where the part at `index` of its piece stands in the run."""
        parts = self.shared.runs[self.here[0]].parts
        return parts.index(part, index)

    def _backward(self, parts: Sequence[Part], index: int, begin: Alive, gradients: Formula) -> Alive:
        """Backward through a part that kept all it needs; `begin` is what the parts before it left."""
        part = parts[index]
        later = begin.plus("gradients", gradients, *map(self.new, parts[index + 1 :]))
        saved, *made = (part.training(name) for name in _BACKWARD)
        return later.running(part.name, saved, *made)

    def _recomputed(self, parts: Sequence[Part], start: Alive, gradients: Formula) -> Iterator[tuple[str, Alive]]:
        """A checkpoint over the repetitions of `parts`: its input alone is kept; its last part ends early when
        recomputed.

        Backward begins with all parts computed again, so the last repetition stands at the end of that and the first
        one among the gradients of all later ones.
        """
        repeated, first, last = self.stretch.repeated, parts[0], parts[-1]
        alone = repeated == ONE and len(parts) == 1
        input_ = ZERO if alone else first.training("released_input_bytes")
        whole = added(part.training("saved_bytes") for part in parts)
        others = minus(repeated, ONE)
        for index, part in enumerate(parts):
            checkpoint = ZERO if index == 0 and repeated == ONE else first.recomputing("saved_bytes")
            rise = part.recomputing("forward_local_bytes")
            yield f"{part.name}{{}}, forward", _forward(part, start.plus("activations", checkpoint), rise)
        through = start.plus("gradients", gradients).plus("activations", input_)
        again = through if repeated == ONE else through.plus("activations", times(others, whole))
        for index, part in enumerate(parts):
            done = again.plus("activations", *(other.training("saved_bytes") for other in parts[:index]))
            if part is last:
                saved, *made = (part.recomputing(name) for name in _BACKWARD)
                yield f"{part.name}{{}}, recomputed", done.running(part.name, saved, *made)
            else:
                yield (
                    f"{part.name}{{}}, recomputed",
                    _forward(part, done.plus("workspace", last.training("output_bytes")),
                             part.training("forward_local_bytes")),
                )  # fmt: skip
                yield f"{part.name}{{}}, backward", self._backward(parts, index, done, ZERO)
        if repeated != ONE:
            # Backward through the first repetition, when all later ones of the checkpoint are through.
            one_left = through.plus("gradients", times(others, added(map(self.new, parts))))
            for index, part in enumerate(parts):
                begin = one_left.plus("activations", *(other.training("saved_bytes") for other in parts[:index]))
                name = f"{part.name}{{}} and first of its checkpoint, backward"
                yield name, self._backward(parts, index, begin, ZERO)


_BACKWARD = ("saved_bytes", "output_bytes", "backward_local_bytes")


def _forward(part: Part, start: Alive, rise: Formula) -> Alive:
    """Forward through a part: what it keeps is among what it makes."""
    return start.running(part.name, ZERO, part.training("input_bytes"), rise)
