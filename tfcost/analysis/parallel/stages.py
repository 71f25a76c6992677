"""The stages of a pipeline: all runs of a model in; the runs of each kind of stage out, and how many of its
micro-batches are between their forward and their backward pass at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tfcost.analysis.model.algebra import ONE, collected, over
from tfcost.analysis.model.runs import Run, counted
from tfcost.book import Book
from tfcost.config.parallelism import Parallelism
from tfcost.cost import IN_FLIGHT, Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

STAGES = Formula("Q")


@dataclass(frozen=True, slots=True)
class StageRuns:
    """The runs of one GPU: those at `place` of the pipeline ("first", "second": like all between the ends, "last"), or
    the whole model. `schedule` is the cost of passing micro-batches on (None: there is one stage).
    """

    place: str
    runs: tuple[Run, ...]
    schedule: Cost | None = None

    @property
    def in_flight(self) -> Formula:
        """Micro-batches whose activations are kept at once."""
        return ONE if self.schedule is None else self.schedule.composition[IN_FLIGHT]


def stages_of(runs: Sequence[Run], parallelism: Parallelism, book: Book, dtype: str) -> tuple[StageRuns, ...]:
    """The kinds of stages. UserError for layers that do not split evenly."""
    if parallelism.pipeline == 1:
        return (StageRuns("only", tuple(runs)),)
    blocks = [place for place, run in enumerate(runs) if run.parts[0].forward.scope == "block"]
    before, layers, after = runs[: blocks[0]], runs[blocks[0] : blocks[-1] + 1], runs[blocks[-1] + 1 :]
    if len(layers) != 1 or len(layers[0].layers) > 1:
        raise UserError("parallelism.pipeline: only layers that are all alike are split into stages")
    own = replace(layers[0], count=collected(over(layers[0].count, STAGES)))
    makeup = {"first": [*before, own], "second": [own], "last": [own, *after]}
    if parallelism.pipeline == 2:
        del makeup["second"]
    return tuple(
        StageRuns(place, tuple(counted(found)), _schedule(place, parallelism, book, dtype))
        for place, found in makeup.items()
    )


def _schedule(place: str, parallelism: Parallelism, book: Book, dtype: str) -> Cost:
    numbers = "many" if parallelism.micro_batches >= parallelism.pipeline else "few"
    variant = {"place": place, "micro_batches": numbers}
    return book.find("pipeline", scope="stage", pass_="forward", dtype=dtype, variant=variant, values={})
