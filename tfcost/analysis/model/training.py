"""Peak memory of a training step: runs of parts and a recomputation policy in; bytes alive at each possible peak out.

In a chain nobody else holds a part's input or output, so the memory alive when a part begins is a sum over the parts
before it (what they left) and, backward, over the parts after it (gradients of their weights). What grows or shrinks
from repetition to repetition of a run does so evenly: the first and the last one stand for all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tfcost.analysis.model.algebra import ONE, ZERO, added, collected, minus, over, times
from tfcost.analysis.model.chain import Run
from tfcost.analysis.model.part import Part
from tfcost.config.model import Training
from tfcost.errors import UserError
from tfcost.formula import Formula

Moments = dict[str, Formula]


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

    @property
    def gradients(self) -> Formula:
        """What its backward pass leaves."""
        return added(part.training("gradient_bytes") for part in self.parts)


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

    @property
    def gradients(self) -> Formula:
        """The gradients of one repetition."""
        return times(self.repeated, added(piece.gradients for piece in self.pieces))


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


def training_moments(stretches: Sequence[Stretch], held: Formula) -> Moments:
    """Bytes alive at the highest moment of each part and pass; `held` is there during the whole step."""
    moments: Moments = {}
    for index, stretch in enumerate(stretches):
        before = [times(other.count, other.left) for other in stretches[:index]]
        after = [times(other.count, other.gradients) for other in stretches[index + 1 :]]
        single = stretch.count == ONE
        for place in ("",) if single else ("first", "last"):
            others = minus(stretch.count, ONE)
            start = added([held, *before, *([times(others, stretch.left)] if place == "last" else [])])
            gradients = added([*after, *([times(others, stretch.gradients)] if place == "first" else [])])
            for name, moment in _repetition(stretch, start, gradients):
                moments[name.format(f", {place} layer" if place else "")] = moment
    return moments


def _repetition(stretch: Stretch, start: Formula, gradients: Formula) -> Iterator[tuple[str, Formula]]:
    """The moments of one repetition: `start` is alive when it begins, `gradients` are those of all that comes after."""
    for index, piece in enumerate(stretch.pieces):
        begin = added([start, *(other.left for other in stretch.pieces[:index])])
        later = added([gradients, *(other.gradients for other in stretch.pieces[index + 1 :])])
        if piece.recomputed:
            yield from _recomputed(piece.parts, stretch.repeated, begin, later)
        else:
            yield from _kept(piece.parts, begin, later)


def _kept(parts: Sequence[Part], start: Formula, gradients: Formula) -> Iterator[tuple[str, Formula]]:
    for index, part in enumerate(parts):
        begin = added([start, *(other.training("saved_bytes") for other in parts[:index])])
        yield (
            f"{part.name}{{}}, forward",
            added([begin, part.training("input_bytes"), part.training("forward_local_bytes")]),
        )
        yield f"{part.name}{{}}, backward", _backward(parts, index, begin, gradients)


def _backward(parts: Sequence[Part], index: int, begin: Formula, gradients: Formula) -> Formula:
    """Backward through a part that kept all it needs; `begin` is what the parts before it left."""
    part = parts[index]
    later = (other.training("gradient_bytes") for other in parts[index + 1 :])
    own = (part.training(name) for name in ("saved_bytes", "output_bytes", "backward_local_bytes"))
    return added([begin, *own, gradients, *later])


def _recomputed(
    parts: Sequence[Part], repeated: Formula, start: Formula, gradients: Formula
) -> Iterator[tuple[str, Formula]]:
    """A checkpoint over `repeated` times `parts`: its input alone is kept; its last part ends early when recomputed.

    Backward begins with all parts computed again, so the last repetition stands at the end of that and the first one
    among the gradients of all later ones.
    """
    first, last = parts[0], parts[-1]
    alone = repeated == ONE and len(parts) == 1
    input_ = ZERO if alone else first.training("released_input_bytes")
    whole = added(part.training("saved_bytes") for part in parts)
    others = minus(repeated, ONE)
    for index, part in enumerate(parts):
        checkpoint = ZERO if index == 0 and repeated == ONE else first.recomputing("saved_bytes")
        rise = [part.training("input_bytes"), part.recomputing("forward_local_bytes")]
        yield f"{part.name}{{}}, forward", added([start, checkpoint, *rise])
    again = added([start, gradients, input_, *([] if repeated == ONE else [times(others, whole)])])
    for index, part in enumerate(parts):
        done = added([again, *(other.training("saved_bytes") for other in parts[:index])])
        if part is last:
            names = ("saved_bytes", "output_bytes", "backward_local_bytes")
            yield f"{part.name}{{}}, recomputed", added([done, *(part.recomputing(name) for name in names)])
        else:
            rise = [part.training("input_bytes"), last.training("output_bytes"), part.training("forward_local_bytes")]
            yield f"{part.name}{{}}, recomputed", added([done, *rise])
            yield f"{part.name}{{}}, backward", _backward(parts, index, done, ZERO)
    if repeated != ONE:
        # Backward through the first repetition, when all later ones of the checkpoint are through.
        through = added([start, gradients, input_, times(others, added(p.training("gradient_bytes") for p in parts))])
        for index, part in enumerate(parts):
            begin = added([through, *(other.training("saved_bytes") for other in parts[:index])])
            yield f"{part.name}{{}} and first of its checkpoint, backward", _backward(parts, index, begin, ZERO)
