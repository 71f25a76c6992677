"""Batches of unequal sequences: what makes the costs at given sizes in; what they cost exactly, and padded, out.

Sequences of several lengths are taken one after another through everything that works token by token, and one by one
through attention. Sequences that decode are a batch for everything but the attention to their caches.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tfcost.analysis.meetings import TIME
from tfcost.analysis.polynomial import Exact
from tfcost.analysis.portions import (
    Portion,
    Sizes,
    amount,
    is_linear_in_cache,
    is_token_wise,
    names_of,
    portion,
    seconds,
    steps_where,
)
from tfcost.analysis.predict import Machine
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

ADDED = ("matmul_flops", "scalar_flops", "issued_bytes")


@dataclass(frozen=True, slots=True)
class Piece:
    """A cost that is done `count` times at the sizes `values`."""

    cost: Cost
    count: Exact
    values: Sizes


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything that runs at one choice of sizes: its pieces, and quantities that steps do not add up to."""

    pieces: tuple[Piece, ...]
    quantities: Mapping[str, Formula]
    values: Sizes
    dtype: str


At = Callable[[Mapping[str, int]], Whole]
"""What makes a `Whole` at the defaults with some sizes replaced. It raises UserError where formulas do not apply."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity as the batch needs it (`exact`), and as it is without taking care of it (`plain`: padded to the
    longest; of a prefill: at once). None where no formula says it. `formula`: the exact amount, `under` a condition.
    """

    exact: Exact | float | None
    plain: Exact | float | None
    formula: Formula | None = None
    under: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """The amounts of one technique or model by quantity; `notes` tell what has no value and why."""

    amounts: Mapping[str, Amount]
    notes: tuple[str, ...] = ()


def sequences(at: At, lengths: Sequence[int], device: Machine) -> Batch:
    """Sequences of `lengths` tokens, against all of them padded to the longest."""
    padded = at({"b": len(lengths), "n": max(lengths)})
    single = {length: at({"b": 1, "n": length}) for length in dict.fromkeys(lengths)}
    row = {"b": 1, "n": sum(lengths)} | _keys(padded.values, sum(lengths))
    parts: list[Portion] = []
    for place, piece in enumerate(padded.pieces):
        others = [(length, whole.pieces[place]) for length, whole in single.items()]
        apart = _apart([piece.cost, *(other.cost for _, other in others)], is_token_wise)
        together = [name for name in names_of(piece.cost) if name not in apart]
        parts.append(portion(piece.cost, together, [{**piece.values, **row}], piece.count))
        for length, other in others:
            calls = [other.values] * lengths.count(length)
            parts.append(portion(other.cost, apart, calls, other.count))
    amounts = _added(parts, padded, device)
    each = [single[length] for length in lengths]
    amounts |= _summed("algorithmic_flops", each, padded)
    peak, notes = _peak(padded, is_token_wise, row, "the tokens of several sequences in a row")
    return Batch(amounts | peak, notes)


def decoding(at: At, cached: Sequence[int], device: Machine) -> Batch:
    """One decode step of sequences with `cached` tokens each, the new one included, against caches padded to the
    longest.
    """
    padded = at({"b": len(cached), "m": max(cached)})
    single = {length: at({"b": 1, "m": length}) for length in dict.fromkeys(cached)}
    parts: list[Portion] = []
    for place, piece in enumerate(padded.pieces):
        others = [(length, whole.pieces[place]) for length, whole in single.items()]
        apart = _apart([piece.cost, *(other.cost for _, other in others)], lambda formula: "m" not in formula.symbols)
        together = [name for name in names_of(piece.cost) if name not in apart]
        parts.append(portion(piece.cost, together, [piece.values], piece.count))
        for length, other in others:
            parts.append(portion(other.cost, apart, [other.values] * cached.count(length), other.count))
    amounts = _added(parts, padded, device) | _summed("algorithmic_flops", [single[m] for m in cached], padded)
    mean = {"m": Fraction(sum(cached), len(cached))}
    peak, notes = _peak(padded, is_linear_in_cache, mean, "caches of several lengths")
    return Batch(amounts | peak, notes)


def _apart(costs: Iterable[Cost], together: Callable[[Formula], bool]) -> set[str]:
    """The steps that some of `costs` cannot do `together`."""
    return {name for cost in costs for name in names_of(cost) if name not in steps_where(cost, together)}


def _keys(values: Sizes, n: int) -> dict[str, int]:
    """The keys that `n` queries have: as many, where the sizes speak of keys."""
    return {"m": n} if "m" in values else {}


def _added(parts: Sequence[Portion], padded: Whole, device: Machine) -> dict[str, Amount]:
    whole = whole_portions(padded)
    amounts = {name: Amount(amount(parts, name), amount(whole, name)) for name in ADDED}
    amounts[TIME] = Amount(time_of(parts, device, padded.dtype), time_of(whole, device, padded.dtype))
    return amounts


def whole_portions(whole: Whole) -> list[Portion]:
    """Everything of `whole`, as it is."""
    return [portion(piece.cost, names_of(piece.cost), [piece.values], piece.count) for piece in whole.pieces]


def time_of(parts: Sequence[Portion], device: Machine, dtype: str) -> float | None:
    """The predicted time of `parts`, None where there is no prediction."""
    try:
        return seconds(parts, device, dtype)
    except UserError:
        return None


def _summed(quantity: str, each: Sequence[Whole], padded: Whole) -> dict[str, Amount]:
    """A quantity of single sequences that holds no weights, so that sequences add up."""
    if quantity not in padded.quantities:
        return {}
    total = sum(one.quantities[quantity].evaluate(one.values) for one in each)
    return {quantity: Amount(total, padded.quantities[quantity].evaluate(padded.values))}


def _peak(
    padded: Whole, holds: Callable[[Formula], bool], sizes: Mapping[str, Exact], what: str
) -> tuple[dict[str, Amount], tuple[str, ...]]:
    """Peak memory, at `sizes` where its formula is of the kind that `holds`."""
    formula = padded.quantities["peak_bytes"]
    plain = formula.evaluate(padded.values)
    if holds(formula):
        return {"peak_bytes": Amount(formula.evaluate({**padded.values, **sizes}), plain)}, ()
    return {"peak_bytes": Amount(None, plain)}, (f"no formula for its peak memory with {what}",)
