"""Peak memory without gradients: runs of parts in; the bytes alive at the highest moment of each kind of part out.

Weights, tokens, tables and caches are there all the time; beside them a part has its input and what it makes. After a
prompt (prefill) the keys and values of every layer stay: the last part of its kind stands highest.
"""

from collections.abc import Sequence

from tfcost.analysis.model.algebra import ONE, ZERO, added, collected, minus, times
from tfcost.analysis.model.memory import Alive
from tfcost.analysis.model.part import Part
from tfcost.analysis.model.runs import Run, distinct
from tfcost.analysis.model.shared import Shared
from tfcost.formula import Formula


def inference_moments(runs: Sequence[Run], weights: Formula, pass_: str) -> dict[str, Alive]:
    """Bytes alive at the highest moment of each part, by its name; `weights` are the bytes of all weights."""
    held = Alive().plus("parameters", weights).plus("data", given(runs, caches=pass_ == "decode"))
    if pass_ == "decode":
        held = held.plus("cache", cached(distinct(runs)))
    moments, shared = {}, Shared(runs)
    for index, run in enumerate(runs):
        for place, part in enumerate(run.parts):
            begin = held.plus("cache", kept_before(runs, index, place)) if pass_ == "prefill" else held
            begin = begin.plus("workspace", *shared.forward(index, part))
            made = (part.inference("input_bytes"), part.inference("local_bytes"))
            moments[part.name] = begin.running(part.name, ZERO, *made)
    return moments


def given(runs: Sequence[Run], caches: bool = False) -> Formula:
    """Bytes of what is there from the start beside the weights: tokens, targets, tables that all layers share; the
    `caches` of a decode step and what `Shared` counts are left out.
    """
    tables: dict[str, Formula] = {}
    found: list[Formula] = []
    for part in distinct(runs):
        beside = collected(minus(part.beside(), part.cached)) if caches else part.beside()
        if part.shares:
            continue
        if part.forward.scope != "block":
            found.append(beside)
        else:
            tables.setdefault(beside.text, beside)
    return added([*found, *tables.values()])


def kept_before(runs: Sequence[Run], index: int, place: int) -> Formula:
    """Keys and values that the parts before have left, for the last repetition of the part at `place` of a run."""
    run = runs[index]
    earlier = [times(other.count, added(part.cached for part in other.parts)) for other in runs[:index]]
    repeated = times(minus(run.count, ONE), added(part.cached for part in run.parts))
    return added([*earlier, repeated, *(part.cached for part in run.parts[:place])])


def cached(parts: Sequence[Part]) -> Formula:
    """Bytes of keys and values of all layers."""
    return added(times(part.count, part.cached) for part in parts)


def paged(parts: Sequence[Part]) -> Formula:
    """The same where every cache is allocated in pages."""
    return added(times(part.count, part.paged) for part in parts)
