"""Techniques compared at one scope: their answers, and for every quantity where along n the cheaper one changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from tfcost.analysis.answer import Answer, answer
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.conditions import span
from tfcost.analysis.crossover import LOOKED_AT, Comparison, compare, compare_functions
from tfcost.analysis.dominance import LONGEST
from tfcost.analysis.predict import Machine, Prediction, predict
from tfcost.analysis.query import Query
from tfcost.analysis.shown import along_n, is_tangled, model_regime
from tfcost.book import Book
from tfcost.errors import UserError
from tfcost.formula import Formula

COMPARED = ("matmul_flops", "scalar_flops", "algorithmic_flops", "issued_bytes", "unique_bytes", "peak_bytes")
"""The quantities that a comparison shows, in this order."""

TIME = "predicted_time"


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two techniques in one quantity along n; `comparison` is None where it cannot be decided, `reason` says why.

    `exact`: every size is accounted for; else the formulas were evaluated once per doubling and bisected between.
    """

    quantity: str
    first: str
    second: str
    comparison: Comparison | None
    exact: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The answers of all techniques at one scope, their meetings in every quantity that they share, and predicted
    times by technique (None where a time cannot be predicted).
    """

    scope: str
    answers: tuple[Answer, ...]
    meetings: tuple[Meeting, ...]
    times: Mapping[str, Prediction | None]

    def smallest(self, quantity: str) -> frozenset[str]:
        """The techniques with the least of `quantity`; none if all have the same."""
        if quantity == TIME:
            return _smallest({name: time.seconds for name, time in self.times.items() if time})
        having = [one for one in self.answers if quantity in one.quantities]
        return _smallest({one.query.technique: one.quantities[quantity].value for one in having})


def side_by_side(queries: Sequence[Query], book: Book, device: Machine) -> SideBySide:
    """Evaluates and compares the queries, which are at one scope. UserError if the book has no cost for one."""
    answers = tuple(answer(query, book) for query in queries)
    meetings = [
        _meeting(quantity, first, second)
        for quantity in COMPARED
        for first, second in combinations(answers, 2)
        if quantity in first.quantities and quantity in second.quantities
    ]
    times = {one.query.technique: _time(one, device) for one in answers}
    if all(times.values()):
        meetings += [_meeting_in_time(first, second, device) for first, second in combinations(answers, 2)]
    return SideBySide(queries[0].scope, answers, tuple(meetings), times)


def _smallest(values: Mapping[str, object]) -> frozenset[str]:
    if len(set(values.values())) < 2:
        return frozenset()
    least = min(values.values())  # type: ignore[type-var]
    return frozenset(name for name, value in values.items() if value == least)


def _meeting(quantity: str, first: Answer, second: Answer) -> Meeting:
    names = first.query.technique, second.query.technique
    one, two = (along_n(side.quantities[quantity].exact, side.query.values) for side in (first, second))
    values = {**first.query.values, **second.query.values}
    low, high = _lengths(first, second)
    if is_tangled(one) or is_tangled(two):
        found = compare_functions(_along(one, values), _along(two, values), "n", low, min(high, LOOKED_AT))
        return Meeting(quantity, *names, found, exact=False)
    try:
        return Meeting(quantity, *names, compare(one, two, "n", values, low, high, regime=model_regime(values)))
    except Undecided as error:
        return Meeting(quantity, *names, None, reason=str(error))


def _lengths(*answers: Answer) -> tuple[int, int]:
    """The shortest and the longest sequence that the formulas of all `answers` apply to."""
    spans = [span(one.cost.assumptions, one.query.values, _followers(one.query.values), LONGEST) for one in answers]
    return max(low for low, _ in spans), min(high for _, high in spans)


def _followers(values: Mapping[str, int]) -> list[str]:
    """What grows with n: the number of keys follows where it was the same."""
    return ["n", "m"] if values["m"] == values["n"] else ["n"]


def _along(formula: Formula, values: Mapping[str, int]) -> Callable[[int], float]:
    """`formula` as a function of n. Its values stay exact: they are only compared."""
    return lambda n: cast(float, formula.evaluate({**values, "n": n}))


def _meeting_in_time(first: Answer, second: Answer, device: Machine) -> Meeting:
    low, high = _lengths(first, second)
    found = compare_functions(_seconds(first, device), _seconds(second, device), "n", low, min(high, LOOKED_AT))
    return Meeting(TIME, first.query.technique, second.query.technique, found, exact=False)


def _time(one: Answer, device: Machine) -> Prediction | None:
    try:
        return predict(one.cost, one.query.values, device, one.query.dtype)
    except UserError:
        return None


def _seconds(one: Answer, device: Machine) -> Callable[[int], float]:
    """The predicted time as a function of n."""
    values = dict(one.query.values)
    followers = _followers(values)
    return lambda n: predict(one.cost, values | dict.fromkeys(followers, n), device, one.query.dtype).seconds
