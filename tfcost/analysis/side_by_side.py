"""Techniques compared at one scope: their answers, and for every quantity where along n the cheaper one changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tfcost.analysis.answer import Answer, answer
from tfcost.analysis.meetings import TIME, Contender, Meeting, followers, meetings
from tfcost.analysis.predict import Machine, Prediction, predict
from tfcost.analysis.query import Query
from tfcost.book import Book
from tfcost.cost import Cost
from tfcost.errors import UserError

COMPARED = ("matmul_flops", "scalar_flops", "algorithmic_flops", "issued_bytes", "unique_bytes", "peak_bytes")
"""The quantities that a comparison shows, in this order."""


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
            return least({name: time.seconds for name, time in self.times.items() if time})
        having = [one for one in self.answers if quantity in one.quantities]
        return least({one.query.technique: one.quantities[quantity].value for one in having})


def side_by_side(queries: Sequence[Query], book: Book, device: Machine) -> SideBySide:
    """Evaluates and compares the queries, which are at one scope. UserError if the book has no cost for one."""
    answers = tuple(answer(query, book) for query in queries)
    contenders = [contender(one.query, one.cost, device) for one in answers]
    times = {one.query.technique: _time(one.query, one.cost, device) for one in answers}
    return SideBySide(queries[0].scope, answers, meetings(contenders, COMPARED), times)


def contender(query: Query, cost: Cost, device: Machine) -> Contender:
    """What the `cost` that answers `query` is compared by, times predicted on `device`."""
    formulas = {name: cost.quantities[name].exact for name in COMPARED if name in cost.quantities}
    seconds = _seconds(query, cost, device) if _time(query, cost, device) else None
    return Contender(query.technique, formulas, query.values, cost.assumptions, seconds)


def least(values: Mapping[str, object]) -> frozenset[str]:
    """The names of the smallest of `values`; none if all are the same."""
    if len(set(values.values())) < 2:
        return frozenset()
    smallest = min(values.values())  # type: ignore[type-var]
    return frozenset(name for name, value in values.items() if value == smallest)


def _time(query: Query, cost: Cost, device: Machine) -> Prediction | None:
    try:
        return predict(cost, query.values, device, query.dtype)
    except UserError:
        return None


def _seconds(query: Query, cost: Cost, device: Machine) -> Callable[[int], float]:
    """The predicted time as a function of n."""
    values = dict(query.values)
    growing = followers(values)
    return lambda n: predict(cost, values | dict.fromkeys(growing, n), device, query.dtype).seconds
