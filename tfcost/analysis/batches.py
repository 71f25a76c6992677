"""Batches of unequal sequences: what makes the costs at given sizes in; what they cost exactly, and padded, out.

The batch is a ragged one: what works token by token takes all tokens in a row, attention every sequence at its own
length, each step for all sequences before the next one. Sequences that decode are a batch for everything but the
attention to their caches.
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
    is_token_wise,
    names_of,
    portion,
    ragged_call,
    seconds,
    steps_where,
)
from tfcost.analysis.predict import Machine
from tfcost.analysis.ragged import ragged
from tfcost.analysis.whole import At, Whole
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

ADDED = ("matmul_flops", "scalar_flops", "issued_bytes")


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
    # Sequences in a row are a batch of sequences of their mean length to all that counts tokens alone.
    mean = Fraction(sum(lengths), len(lengths))
    row = {"n": mean} | ({"m": mean} if "m" in padded.values else {})
    return _batch(padded, [single[length] for length in lengths], is_token_wise, row, device)


def decoding(at: At, cached: Sequence[int], device: Machine) -> Batch:
    """One decode step of sequences with `cached` tokens each, the new one included, against caches padded to the
    longest.
    """
    padded = at({"b": len(cached), "m": max(cached)})
    single = {length: at({"b": 1, "m": length}) for length in dict.fromkeys(cached)}
    return _batch(padded, [single[length] for length in cached], lambda formula: "m" not in formula.symbols, {}, device)


def _batch(
    padded: Whole, each: Sequence[Whole], together: Callable[[Formula], bool], row: Sizes, device: Machine
) -> Batch:
    """The batch of the single sequences `each`: what can be done `together` at the sizes `row` of all tokens, the rest
    with the lengths of each.
    """
    parts: list[Portion] = []
    for place, piece in enumerate(padded.pieces):
        others = [whole.pieces[place] for whole in each]
        apart = _apart([piece.cost, *(other.cost for other in others)], together)
        names = [name for name in names_of(piece.cost) if name not in apart]
        parts.append(portion(piece.cost, names, [piece.at(row)], piece.count))
        # Sequences whose sizes make the code run differently have costs of their own.
        for cost in {id(other.cost): other.cost for other in others}.values():
            calls = [other.values for other in others if other.cost is cost]
            parts.append(ragged_call(cost, apart, calls, piece.count))
    peak, notes = _peak(padded, each)
    return Batch(_added(parts, padded, device) | _summed("algorithmic_flops", each, padded) | peak, notes)


def _apart(costs: Iterable[Cost], together: Callable[[Formula], bool]) -> set[str]:
    """The steps that some of `costs` cannot do `together`."""
    return {name for cost in costs for name in names_of(cost) if name not in steps_where(cost, together)}


def _added(parts: Sequence[Portion], padded: Whole, device: Machine) -> dict[str, Amount]:
    whole = padded.portions()
    amounts = {name: Amount(amount(parts, name), amount(whole, name)) for name in ADDED}
    amounts[TIME] = Amount(time_of(parts, device, padded.dtype), time_of(whole, device, padded.dtype))
    return amounts


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


def _peak(padded: Whole, each: Sequence[Whole]) -> tuple[dict[str, Amount], tuple[str, ...]]:
    """Peak memory of the sequences as one ragged batch, and a note where there is no formula for it."""
    formula = padded.quantities["peak_bytes"]
    exact = ragged(formula, [{**padded.values, **_lengths(one.values)} for one in each])
    found = {"peak_bytes": Amount(exact, formula.evaluate(padded.values))}
    return found, () if exact is not None else ("no formula for its peak memory with sequences of several lengths",)


def _lengths(values: Sizes) -> dict[str, Exact]:
    return {name: values[name] for name in ("n", "m") if name in values}
