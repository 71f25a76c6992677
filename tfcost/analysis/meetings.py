"""Costs that are compared, techniques or models: their formulas in; where along n the cheaper one changes, out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from tfcost.analysis.bounds import Undecided
from tfcost.analysis.conditions import span
from tfcost.analysis.crossover import LOOKED_AT, Comparison, compare, compare_functions
from tfcost.analysis.dominance import LONGEST
from tfcost.analysis.polynomial import Exact
from tfcost.analysis.shown import along_n, is_tangled, model_regime
from tfcost.formula import Formula

TIME = "predicted_time"

Seconds = Callable[[int], float]
"""A predicted time as a function of n."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the costs compared: its exact `formulas` by quantity and a value for each of their symbols.

    `assumptions` say at which sizes the formulas hold; `seconds` is the predicted time as a function of n, None where
    no time can be predicted.
    """

    name: str
    formulas: Mapping[str, Formula]
    values: Mapping[str, int]
    assumptions: Sequence[str]
    seconds: Seconds | None

    def amount(self, quantity: str, n: int) -> Exact | float | None:
        """A quantity or the predicted time at length `n`, None where it has none."""
        if quantity == TIME:
            return self.seconds(n) if self.seconds else None
        if quantity not in self.formulas:
            return None
        return self.formulas[quantity].evaluate({**self.values, **dict.fromkeys(followers(self.values), n)})


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two contenders in one quantity along n; `comparison` is None where it cannot be decided, `reason` says why.

    `exact`: every size is accounted for; else the formulas were evaluated once per doubling and bisected between.
    """

    quantity: str
    first: str
    second: str
    comparison: Comparison | None
    exact: bool = True
    reason: str = ""


def meetings(contenders: Sequence[Contender], quantities: Sequence[str]) -> tuple[Meeting, ...]:
    """Every pair of `contenders` in each of `quantities` that both have, and in predicted time if all have one."""
    found = [
        _meeting(quantity, first, second)
        for quantity in quantities
        for first, second in combinations(contenders, 2)
        if quantity in first.formulas and quantity in second.formulas
    ]
    timed = [(one, one.seconds) for one in contenders if one.seconds]
    if len(timed) == len(contenders):
        found += [_meeting_in_time(*first, *second) for first, second in combinations(timed, 2)]
    return tuple(found)


def followers(values: Mapping[str, int]) -> list[str]:
    """What grows with n: the number of keys follows where it was the same."""
    return ["n", "m"] if values["m"] == values["n"] else ["n"]


def _meeting(quantity: str, first: Contender, second: Contender) -> Meeting:
    shared = {name: size for name, size in first.values.items() if second.values.get(name) == size}
    one, two = (_formula(side, quantity, shared) for side in (first, second))
    low, high = _lengths(first, second)
    if is_tangled(one) or is_tangled(two):
        found = compare_functions(_along(one, shared), _along(two, shared), "n", low, min(high, LOOKED_AT))
        return Meeting(quantity, first.name, second.name, found, exact=False)
    try:
        found = compare(one, two, "n", shared, low, high, regime=model_regime(shared))
    except Undecided as error:
        return Meeting(quantity, first.name, second.name, None, reason=str(error))
    return Meeting(quantity, first.name, second.name, found)


def _formula(side: Contender, quantity: str, shared: Mapping[str, int]) -> Formula:
    """A formula in n and the symbols whose values are `shared`; others, which each side has its own of, are numbers."""
    formula = along_n(side.formulas[quantity], side.values)
    own = {name: side.values[name] for name in formula.symbols if name != "n" and name not in shared}
    return formula.substitute(own) if own else formula


def _lengths(*contenders: Contender) -> tuple[int, int]:
    """The shortest and the longest sequence that the formulas of all `contenders` apply to."""
    spans = [span(one.assumptions, one.values, followers(one.values), LONGEST) for one in contenders]
    return max(low for low, _ in spans), min(high for _, high in spans)


def _along(formula: Formula, values: Mapping[str, int]) -> Callable[[int], float]:
    """`formula` as a function of n. Its values stay exact: they are only compared."""
    return lambda n: cast(float, formula.evaluate({**values, "n": n}))


def _meeting_in_time(first: Contender, one: Seconds, second: Contender, two: Seconds) -> Meeting:
    low, high = _lengths(first, second)
    found = compare_functions(one, two, "n", low, min(high, LOOKED_AT))
    return Meeting(TIME, first.name, second.name, found, exact=False)
