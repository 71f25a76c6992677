"""A training step of a model split over GPUs: memory of one GPU by category, and what it exchanges by collective.

The parts are those of one GPU, put in a chain as those of a whole model are (`analysis.model`); what data-parallel GPUs
share out and how many micro-batches a stage keeps is added here. Formulas in T, C, Q, D, X and A, and their values.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tfcost.analysis.model.algebra import ONE, ZERO, added, maximum, minus, over, times
from tfcost.analysis.model.executions import Execution, executions_of
from tfcost.analysis.model.inference import given
from tfcost.analysis.model.memory import Alive
from tfcost.analysis.model.optimizer import optimizer_of, state_bytes, step_moment
from tfcost.analysis.model.part import Part, total_of
from tfcost.analysis.model.runs import Run, distinct
from tfcost.analysis.model.training import Stretch, divided, gradients_of, training_moments
from tfcost.analysis.parallel.parts import GpuBuilder
from tfcost.analysis.parallel.sharing import SharedPart, Sharing
from tfcost.analysis.parallel.stages import StageRuns, stages_of
from tfcost.analysis.parallel.transfers import WIDTHS, Counted, Exchange, exchanges_of
from tfcost.book import Book
from tfcost.config.model import ModelConfig
from tfcost.config.parallelism import Parallelism
from tfcost.cost import Transfer
from tfcost.errors import UserError
from tfcost.formula import Formula


@dataclass(frozen=True, slots=True)
class Stage:
    """One GPU of a kind: what is alive at its highest `moment`, in all and by what it is for (`memory.CATEGORIES`), the
    largest of all moments (`peak`), and what it exchanges in a step.
    """

    place: str
    memory: Mapping[str, Formula]
    peak: Formula
    moment: str
    highest: Formula
    parameters: Formula
    matmul_flops: Formula
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class ParallelCost:
    """A training step on all GPUs. `assumptions` are those of the parts."""

    name: str
    dtype: str
    parallelism: Parallelism
    values: Mapping[str, int]
    stages: tuple[Stage, ...]
    assumptions: tuple[str, ...]


def compose_parallel(config: ModelConfig, parallelism: Parallelism, book: Book) -> ParallelCost:
    """What one GPU of every kind of stage keeps and exchanges. UserError for a part that is not derived for the split,
    or whose formulas do not hold at these sizes.
    """
    if config.training.recompute != "none" or config.training.accumulate > 1 or config.encoder is not None:
        raise UserError("parallelism is not composed with recomputation, an encoder, or 'accumulate' (micro_batches)")
    if parallelism.zero > 1 and config.head == "tied":
        raise UserError("parallelism.zero: 2 and 3 are not there for a tied head, which is no part of its own")
    if parallelism.pipeline > 1 and config.head == "tied":
        raise UserError("parallelism.pipeline: a tied head stands on another stage than its table; give 'head: untied'")
    builder = GpuBuilder(config, parallelism, book)
    runs = builder.chain()
    sharing = Sharing.of(parallelism, book, config.dtype)
    optimizer = optimizer_of(config, book, builder.base)
    values = builder.names.values
    stages = tuple(
        _Composer(config, parallelism, book, sharing, optimizer, values).stage(one)
        for one in stages_of(runs, parallelism, book, config.dtype)
    )
    costs = [cost for run in runs for part in run.parts for cost in (part.forward, part.backward) if cost]
    assumptions = tuple(dict.fromkeys(text for cost in costs for text in cost.assumptions))
    return ParallelCost(config.name, config.dtype, parallelism, values, stages, assumptions)


@dataclass(frozen=True, slots=True)
class _Composer:
    config: ModelConfig
    parallelism: Parallelism
    book: Book
    sharing: Sharing
    optimizer: Part | None
    values: Mapping[str, int]

    def stage(self, stage: StageRuns) -> Stage:
        """Memory and exchanges of one GPU of this stage."""
        owning = [(part.count, part) for part in distinct(stage.runs) if not self._borrows(part)]
        parameters, weights = (total_of(owning, name) for name in ("parameters", "parameter_bytes"))
        shared = replace(stage, runs=tuple(self._shared(run) for run in stage.runs))
        stretches = [divided(run, self.config.training) for run in shared.runs]
        alive = self._moments(shared, stretches, parameters, weights)
        moment, highest = max(alive.items(), key=lambda one: one[1].total.evaluate(self.values))
        executions = executions_of(shared.runs, stretches)
        flops = added(times(one.count, self._micro_batches, one.part.told(one.cost.quantities["matmul_flops"].exact))
                      for one in executions)  # fmt: skip
        exchanges = exchanges_of(self._transfers(stage, executions), self.book, self.config.dtype)
        return Stage(
            stage.place, highest.categories, maximum(one.total for one in alive.values()), moment, highest.total,
            parameters, flops, exchanges,
        )  # fmt: skip

    def _moments(
        self, stage: StageRuns, stretches: Sequence[Stretch], parameters: Formula, weights: Formula
    ) -> dict[str, Alive]:
        """Wherever memory of this GPU may be highest."""
        sharing, data = self.sharing, self._data(stage)
        updated, own = sharing.share_of_state(parameters), sharing.share_of_state(weights)
        state = state_bytes(self.optimizer, updated, own)
        held = Alive().plus("parameters", sharing.share_of_weights(weights)).plus("data", data).plus("state", state)
        moments = self._backward_moments(stage, stretches, weights, held)
        if sharing.stage == 1:
            taken = maximum(sharing.taken("gradient shard", part.size("parameters")) for part in distinct(stage.runs))
            moments["gradients shared out"] = held.plus("gradients", weights).plus("workspace", taken)
        if self.optimizer:
            step = step_moment(self.optimizer, updated, own, data)
            moments["optimizer step"] = step.plus("parameters", minus(sharing.share_of_weights(weights), own))
        return moments

    def _backward_moments(
        self, stage: StageRuns, stretches: Sequence[Stretch], weights: Formula, held: Alive
    ) -> dict[str, Alive]:
        """The moments of the first micro-batch to go backward; and of later ones, for which all gradients are there: a
        new one is added to its own and goes. By then the stage may have let in as many as before, or none is left.
        """
        kept = added(times(one.count, one.left) for one in stretches)

        def begin(flight: Formula) -> Alive:
            return held if flight == ONE else held.plus("activations", times(minus(flight, ONE), kept))

        most = stage.in_flight
        moments = training_moments(stage.runs, stretches, begin(most))
        moments |= self._tied(stage, begin(most), weights)
        if self.parallelism.micro_batches > 1:
            full = self.parallelism.micro_batches > most.evaluate(self.values)
            later = begin(most if full else minus(most, ONE))
            later = later.plus("gradients", self.sharing.share_of_gradients(weights))
            found = training_moments(stage.runs, stretches, later, _no_gradients) | self._tied(stage, later, ZERO)
            moments |= {f"{name}, later micro-batch": moment for name, moment in found.items()}
        return moments

    def _tied(self, stage: StageRuns, held: Alive, gradients: Formula) -> dict[str, Alive]:
        """Autograd adds the two gradients of a shared table into a third tensor before it keeps the sum; `gradients`
        are those that are there beside.
        """
        last = stage.runs[-1].parts[-1]
        if not self._borrows(last):
            return {}
        table = gradients_of(last)
        return {"tied gradients": held.plus("gradients", gradients, table, table)}

    def _data(self, stage: StageRuns) -> Formula:
        """Tokens and targets of all micro-batches, tables."""
        ends = [run for run in stage.runs if run.parts[0].forward.scope != "block"]
        others = minus(self._micro_batches, ONE)
        again = ZERO if self._micro_batches == ONE else times(others, given(ends))
        return added([given(stage.runs), again])

    def _shared(self, run: Run) -> Run:
        """The run with what GPUs share out; with one GPU of each kind there is nobody to share with."""
        if not self._replicated:
            return run
        share = self.sharing
        return replace(run, layers=tuple(tuple(SharedPart.of(part, share) for part in layer) for layer in run.layers))

    @property
    def _micro_batches(self) -> Formula:
        return Formula("A") if self.parallelism.micro_batches > 1 else ONE

    @property
    def _replicated(self) -> bool:
        return self.parallelism.data * self.parallelism.context > 1

    def _borrows(self, part: Part) -> bool:
        """Whether the part's table is that of the embedding."""
        return part.name == "head" and self.config.head == "tied"

    def _transfers(self, stage: StageRuns, executions: Sequence[Execution]) -> Iterator[Counted]:
        """Everything that is exchanged in a step."""
        replicas = self.sharing.replicas
        groups = {"T": Formula("T"), "C": Formula("C"), "X": Formula("X"), "Q": Formula("Q"), "D": replicas}
        for one in executions:
            found = tuple(_told(transfer, one.part.told) for transfer in one.cost.communication)
            yield Counted(found, times(one.count, self._micro_batches), groups)
        if self._replicated:
            for part in distinct(stage.runs):
                yield from self._of_weights(part, groups)
        if stage.schedule is not None:
            row = over(stage.runs[-1].parts[0].training("input_bytes"), Formula(WIDTHS[self.config.dtype]))
            sends = tuple(_told(one, _of_numbers("z", row)) for one in stage.schedule.communication)
            yield Counted(sends, ONE, groups)

    def _of_weights(self, part: Part, groups: Mapping[str, Formula]) -> Iterator[Counted]:
        """What is exchanged of a part's weights and their gradients."""
        if part.size("parameters") == ZERO:
            return
        kinds = [(self.sharing.per_pass(), times(part.count, self._micro_batches))]
        kinds += [] if self._borrows(part) else [(self.sharing.per_step(), part.count)]
        for weights, gpus in self.sharing.copies(part.size("parameters")):
            if gpus.evaluate(self.values) == 1:
                continue
            for costs, count in kinds:
                for cost in costs:
                    told = tuple(_told(one, _of_numbers("N", weights)) for one in cost.communication)
                    yield Counted(told, count, {**groups, "D": gpus})


def _of_numbers(symbol: str, numbers: Formula) -> Callable[[Formula], Formula]:
    """Puts `numbers` in place of a symbol."""
    return lambda size: size.substitute({symbol: numbers})


def _told(transfer: Transfer, tell: Callable[[Formula], Formula]) -> Transfer:
    return replace(transfer, bytes=tell(transfer.bytes), calls=tell(transfer.calls))


def _no_gradients(part: Part) -> Formula:
    return ZERO
