"""Peak memory without gradients: runs of parts in; the bytes alive at the highest moment of each kind of part out.

Weights, tokens, tables and caches are there all the time; beside them a part has its input and what it makes. After a
prompt (prefill) the keys and values of every layer stay: the last part of its kind stands highest.
"""

from collections.abc import Sequence

from tfcost.analysis.model.algebra import ONE, ZERO, added, collected, minus, times
from tfcost.analysis.model.chain import Run, distinct
from tfcost.analysis.model.part import Part
from tfcost.formula import Formula


def inference_moments(runs: Sequence[Run], weights: Formula, pass_: str) -> dict[str, Formula]:
    """Bytes alive at the highest moment of each part, by its name; `weights` are the bytes of all weights."""
    held = [weights, given(runs, caches=pass_ == "decode")]
    moments = {}
    for index, run in enumerate(runs):
        for place, part in enumerate(run.parts):
            kept = kept_before(runs, index, place) if pass_ == "prefill" else ZERO
            moments[part.name] = added([*held, kept, part.inference("input_bytes"), part.inference("local_bytes")])
    return moments


def given(runs: Sequence[Run], caches: bool = False) -> Formula:
    """Bytes of what is there from the start beside the weights: tokens, targets, tables that all layers share, and in a
    decode step the `caches` of all layers.
    """
    tables: dict[str, Formula] = {}
    found: list[Formula] = []
    for part in distinct(runs):
        beside = collected(minus(part.beside(), part.cached)) if caches else part.beside()
        if part.forward.scope != "block":
            found.append(beside)
        else:
            tables.setdefault(beside.text, beside)
    kept = [times(part.count, part.cached) for part in distinct(runs)] if caches else []
    return added([*found, *tables.values(), *kept])


def kept_before(runs: Sequence[Run], index: int, place: int) -> Formula:
    """Keys and values that the parts before have left, for the last repetition of the part at `place` of a run."""
    run = runs[index]
    earlier = [times(other.count, added(part.cached for part in other.parts)) for other in runs[:index]]
    repeated = times(minus(run.count, ONE), added(part.cached for part in run.parts))
    return added([*earlier, repeated, *(part.cached for part in run.parts[:place])])


def cached(parts: Sequence[Part]) -> Formula:
    """Bytes of keys and values of all layers."""
    return added(times(part.count, part.cached) for part in parts)
