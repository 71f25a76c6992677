"""A prompt taken in chunks against a growing cache: costs and a chunk length in; what all chunks cost together, out.

A chunk of queries sees its own keys and those of all chunks before it: attention has as many queries as the chunk and
as many keys as there are tokens so far. What surrounds attention runs on the chunk alone, and writes to the cache.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tfcost.analysis import polynomial as poly
from tfcost.analysis.answer import added_amounts, total
from tfcost.analysis.attention_of import Attention, attention_of
from tfcost.analysis.batches import ADDED, Amount, Batch, time_of
from tfcost.analysis.chunk_sums import ChunkSum, summed_over_chunks
from tfcost.analysis.meetings import TIME
from tfcost.analysis.polynomial import Exact
from tfcost.analysis.portions import Portion, amount, names_of, portion
from tfcost.analysis.predict import Machine
from tfcost.analysis.shown import shown_form
from tfcost.analysis.whole import At, Piece
from tfcost.book import Book
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

MOST_CHUNKS = 4096


class Chunk(NamedTuple):
    """One call: `queries` tokens that attend to `keys`, their own the last of them."""

    queries: int
    keys: int


def chunks(n: int, length: int) -> list[Chunk]:
    """The calls that take `n` tokens in chunks of `length`, the last one with the rest. UserError for too many."""
    count = -(-n // length)
    if count > MOST_CHUNKS:
        raise UserError(f"--prefill-chunk: {n} tokens in chunks of {length} are {count} calls; at most {MOST_CHUNKS}")
    return [Chunk(min(length, n - start), min(start + length, n)) for start in range(0, n, length)]


def in_chunks(at: At, n: int, length: int, book: Book, device: Machine) -> Batch:
    """`n` tokens in chunks of `length`, against all of them at once.

    UserError where attention is not causal, or has no formula for more keys than queries.
    """
    whole, calls = at({"n": n}), chunks(n, length)
    runs = [_Run(piece, attention_of(piece.cost, piece.whole_values, whole.dtype, book)) for piece in whole.pieces]
    parts = [one for run in runs for one in run.portions(calls)]
    once = whole.portions()
    amounts = {name: Amount(amount(parts, name), amount(once, name)) for name in ADDED}
    if len(runs) == 1:
        closed = {name: found for name in ADDED if (found := _closed(runs[0], name, length))}
        amounts |= {name: _told(amounts[name], one, runs[0].piece) for name, one in closed.items()}
    amounts[TIME] = Amount(time_of(parts, device, whole.dtype), time_of(once, device, whole.dtype))
    core = runs[0].core_alone(calls) if len(runs) == 1 else None
    peak = whole.quantities["peak_bytes"].evaluate(whole.values)
    if core is None:
        notes = ("no formula for its peak memory in chunks", *{note for run in runs for note in run.notes})
        return Batch(amounts | {"peak_bytes": Amount(None, peak)}, notes)
    amounts["peak_bytes"] = Amount(max(core("peak_bytes")), peak)
    asked = whole.quantities["algorithmic_flops"].evaluate(whole.values)
    amounts["algorithmic_flops"] = Amount(sum(core("algorithmic_flops")), asked)
    return Batch(amounts)


def _told(found: Amount, closed: ChunkSum, piece: Piece) -> Amount:
    """An amount with the formula that adds it up, in the form to read."""
    shown = shown_form(closed.formula, piece.whole_values, piece.cost.fixed)
    return replace(found, formula=shown.formula, under=", ".join(filter(None, (closed.under, shown.regime))))


@dataclass(frozen=True, slots=True)
class _Run:
    """A piece in chunks: the steps outside its `attention` (None: it has none) on the chunk, attention on the cache."""

    piece: Piece
    attention: Attention | None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.attention.notes if self.attention else ()

    def portions(self, calls: Sequence[Chunk]) -> list[Portion]:
        cost, count, values = self.piece.cost, self.piece.count, self.piece.values
        if not self.piece.follows("n"):  # as the head, which only the last token of a prompt goes through
            return [portion(cost, names_of(cost), [values], count)]
        sizes = [self.piece.at({"n": queries, "m": queries}) for queries, _ in calls]
        if self.attention is None:
            return [portion(cost, names_of(cost), sizes, count)]
        found = [portion(cost, self.attention.outside, sizes, count)]
        for chunk in calls:
            there = {**values, "n": chunk.queries, "m": chunk.keys}
            core = self.attention.core(chunk.queries, chunk.keys)
            found.append(portion(core, names_of(core), [there], count))
        if self.attention.cache:
            tokens = [{**one, "b": one["b"] * chunk.queries} for one, chunk in zip(sizes, calls, strict=True)]
            found.append(portion(self.attention.cache, names_of(self.attention.cache), tokens, count))
        return found

    def core_alone(self, calls: Sequence[Chunk]) -> Callable[[str], list[Exact]] | None:
        """What gives a quantity of every chunk, if the piece is an attention core and nothing else."""
        if self.attention is None or self.attention.outside:
            return None
        attention, values = self.attention, self.piece.values

        def of_each(quantity: str) -> list[Exact]:
            return [
                attention.core(queries, keys).quantities[quantity].exact.evaluate({**values, "n": queries, "m": keys})
                for queries, keys in calls
            ]

        return of_each


def _closed(run: _Run, quantity: str, length: int) -> ChunkSum | None:
    """The sum over all chunks as a formula; None where there is none."""
    attention = run.attention
    if attention is None:
        return None
    outside = _of_steps(run.piece.cost, attention.outside, quantity).substitute({"m": "n"})

    def of_chunk(number: int) -> Formula:
        core = attention.core(length, number * length)
        return total([outside, _of_steps(core, names_of(core), quantity)])

    summed = summed_over_chunks(of_chunk, length)
    if summed is None or attention.cache is None:
        return summed
    written = _of_steps(attention.cache, names_of(attention.cache), quantity).substitute({"b": "b*n"})
    return replace(summed, formula=poly.to_formula(poly.expand(total([summed.formula, written]).tree)))


def _of_steps(cost: Cost, steps: Sequence[str], quantity: str) -> Formula:
    return total([one for step in cost.steps if step.name in steps for one in added_amounts(quantity, step.amounts)])
