"""A whole model out of derived parts: each part was traced once, here they are put in a chain, L a symbol.

FLOPs, bytes and parameters add up. Peak memory follows from what each part says of itself: what it leaves for its
backward pass, and how far it rises above what is alive when it begins (`Cost.composition`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tfcost.analysis.model.algebra import ONE, ZERO, added, maximum, times
from tfcost.analysis.model.chain import Builder, Run, check_pass, distinct
from tfcost.analysis.model.executions import Execution, Row, executions_of, optimizer_rows, rows_of
from tfcost.analysis.model.inference import cached, given, inference_moments, paged
from tfcost.analysis.model.memory import Alive
from tfcost.analysis.model.optimizer import optimizer_of, state_bytes, step_moment
from tfcost.analysis.model.part import Part, total_of
from tfcost.analysis.model.training import Stretch, divided, gradients_of, training_moments
from tfcost.book import Book
from tfcost.config.model import ModelConfig
from tfcost.cost import Quantity
from tfcost.formula import Formula


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What a model costs in one pass: rows that add up to `quantities`, and at which moment memory is highest.

    `runs` are the parts in the order in which data passes through them; `parts` every kind of them once, an optimizer
    included; `executions` what of them runs how often. `moments` are the bytes alive wherever memory may be highest,
    `memory` those at the highest moment by what they are for (`memory.CATEGORIES`).
    """

    name: str
    pass_: str
    dtype: str
    values: Mapping[str, int]
    rows: tuple[Row, ...]
    quantities: Mapping[str, Quantity]
    parameters: Formula
    peak_moment: str
    parts: tuple[Part, ...]
    assumptions: tuple[str, ...]
    workspace: tuple[str, ...]
    runs: tuple[Run, ...] = ()
    executions: tuple[Execution, ...] = ()
    moments: Mapping[str, Formula] | None = None
    cache_bytes: Formula = ZERO
    paged_cache_bytes: Formula = ZERO
    memory: Mapping[str, Formula] = field(default_factory=dict)


def compose(config: ModelConfig, book: Book, *, pass_: str = "forward") -> ModelCost:
    """The cost of the model that `config` describes, in symbols and with its values, for forward, train, prefill (the
    caches stay) or decode (one token, m of them in the caches).

    UserError if the book lacks a part or a part's formulas mean nothing at these sizes, or for another pass.
    """
    check_pass(pass_)
    builder = Builder(config, book, pass_)
    runs = builder.chain()
    stretches = [divided(run, config.training) for run in runs] if pass_ == "train" else []
    optimizer = optimizer_of(config, book, builder.base) if pass_ == "train" else None
    parts = distinct(runs)
    owning = _owning(config, distinct([*builder.idle, *runs]))
    parameters, weights = (total_of(owning, name) for name in ("parameters", "parameter_bytes"))
    values = _shown_values(builder, config)
    executions = _repeated(executions_of(runs, stretches), config.training.accumulate if pass_ == "train" else 1)
    rows = (*rows_of(executions), *(optimizer_rows(optimizer, parameters) if optimizer else ()))
    if pass_ == "train":
        alive = _training_moments(config, runs, stretches, optimizer, parameters, weights)
    else:
        alive = inference_moments(runs, weights, pass_)
    moments = {name: moment.total for name, moment in alive.items()}
    highest, peak = max(moments.items(), key=lambda moment: moment[1].evaluate(values))
    quantities = {
        **{name: Quantity(_total(rows, names), "summed") for name, names in _ADDED.items()},
        "peak_bytes": Quantity(maximum(moments.values()), "summed", peak, f"sizes like these, highest at {highest}"),
        "parameter_bytes": Quantity(weights, "summed"),
        "parameters": Quantity(parameters, "summed"),
    }
    if pass_ == "train":
        left = added(times(stretch.count, stretch.left) for stretch in stretches)
        quantities["saved_bytes"] = Quantity(left, "summed")
    costs = [one.cost for one in executions]
    return ModelCost(
        config.name, pass_, config.dtype, values, rows, quantities, parameters, highest,
        (*parts, *([optimizer] if optimizer else [])),
        tuple(dict.fromkeys(text for cost in costs for text in cost.assumptions)),
        tuple(dict.fromkeys(text for cost in costs for text in cost.workspace)),
        tuple(runs), tuple(executions), moments, cached(parts), paged(parts), alive[highest].categories,
    )  # fmt: skip


_ADDED = {
    "matmul_flops": ("matmul_flops",),
    "scalar_flops": ("scalar_flops",),
    "issued_bytes": ("read_bytes", "write_bytes"),
}
_ONLY_IF_USED = ("f", "w", "g", "c")


def _shown_values(builder: Builder, config: ModelConfig) -> dict[str, int]:
    """The values of the model's symbols, without widths that no part has; `s` is a checkpoint's number of layers."""
    used = builder.names.used
    values = {name: value for name, value in builder.names.values.items() if name in used or name not in _ONLY_IF_USED}
    return values if config.training.every is None else values | {"s": config.training.every}


def _owning(config: ModelConfig, parts: Iterable[Part]) -> list[tuple[Formula, Part]]:
    """The parts that have weights of their own; a tied head and an encoder use the embedding's table."""
    shared = ("encoder embedding", *(("head",) if config.head == "tied" else ()))
    return [(part.count, part) for part in parts if part.name not in shared]


def _repeated(executions: Sequence[Execution], batches: int) -> list[Execution]:
    """The executions of a step that adds up the gradients of so many batches."""
    if batches == 1:
        return list(executions)
    return [replace(one, count=times(Formula(str(batches)), one.count)) for one in executions]


def _training_moments(
    config: ModelConfig, runs: Sequence[Run], stretches: Sequence[Stretch], optimizer: Part | None, parameters: Formula,
    weights: Formula,
) -> dict[str, Alive]:  # fmt: skip
    others, accumulated = given(runs), config.training.accumulate > 1
    state = state_bytes(optimizer, parameters, weights)
    held = Alive().plus("parameters", weights).plus("data", others).plus("state", state)
    tables = _uses_of_the_table(config, runs)
    if accumulated:
        # From the second batch on all gradients are there; a new one is added to its own and goes.
        held = held.plus("gradients", weights)

    def new(part: Part) -> Formula:
        # The gradient of a shared table waits for those of its other uses, which are added to it.
        if len(tables) > 1 and part.name in tables:
            return gradients_of(part) if part.name == tables[-1] else ZERO
        return ZERO if accumulated else gradients_of(part)

    moments = training_moments(runs, stretches, held, new)
    if len(tables) > 1:
        # Autograd adds two gradients of the shared table into a third tensor before it keeps the sum.
        place = next(index for index, run in enumerate(runs) if run.parts[0].name == tables[0])
        later = [times(stretch.count, stretch.gradients(new)) for stretch in stretches[place + 1 :]]
        added_up = next(run.parts[0] for run in runs if run.parts[0].name == tables[-1])
        both = (gradients_of(runs[place].parts[0]), gradients_of(added_up))
        moments["tied gradients"] = held.plus("gradients", *later, *both)
    if optimizer:
        moments["optimizer step"] = step_moment(optimizer, parameters, weights, others)
    return moments


def _uses_of_the_table(config: ModelConfig, runs: Sequence[Run]) -> list[str]:
    """The parts that use the embedding's table, in the order of the forward pass."""
    uses = ("encoder embedding", "embedding", *(("head",) if config.head == "tied" else ()))
    return [part.name for run in runs for part in run.parts if part.name in uses]


def _total(rows: Iterable[Row], names: Sequence[str]) -> Formula:
    return added(
        row.amounts[name] if row.count == ONE else times(row.count, row.amounts[name])
        for row in rows for name in names if name in row.amounts
    )  # fmt: skip
