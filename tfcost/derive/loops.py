"""Loops whose body is traced once: a pass repeated while one size counts up, as exact sums.

In: the trace of one turn, in which the size is a symbol. Out: the trace of all turns.
"""

from dataclasses import dataclass, replace

import sympy as sp

from tfcost.cost import AMOUNTS
from tfcost.derive.errors import DerivationError
from tfcost.derive.integers.convert import from_sympy
from tfcost.derive.integers.prove import is_nonnegative
from tfcost.derive.sizes import size_symbol
from tfcost.derive.sums import sum_over
from tfcost.derive.trace import PassTrace
from tfcost.formula import Formula


@dataclass(frozen=True, slots=True)
class Repeat:
    """The size `symbol` runs from `first` up, over `count` values (both formulas). What one turn leaves, inputs apart,
    is gone before the next.
    """

    symbol: str
    first: str
    count: str

    def total(self, amount: sp.Expr) -> sp.Expr:
        """The sum of one turn's `amount` over all turns. Raises `NoClosedForm` for a sum without one."""
        first, count = Formula(self.first).sympy, Formula(self.count).sympy
        return sum_over(amount, size_symbol(self.symbol), first, first + count)


def repeated(trace: PassTrace, repeat: Repeat) -> PassTrace:
    """The cost of all turns of a forward pass. Unique bytes are those of each turn: nothing stays on chip between two.

    Raises `DerivationError` if the memory of a turn is not shown to grow with the size, `NoClosedForm` for a sum
    without one.
    """
    records = tuple(
        replace(record, **{name: repeat.total(getattr(record, name)) for name in AMOUNTS}) for record in trace.records
    )
    counter = size_symbol(repeat.symbol)
    last = {counter: Formula(repeat.first).sympy + Formula(repeat.count).sympy - 1}
    for candidate in trace.peak:
        if not is_nonnegative(from_sympy(sp.expand(candidate.xreplace({counter: counter + 1}) - candidate))):
            raise DerivationError(f"the memory of a turn does not grow with {repeat.symbol}: {candidate}")
    return replace(
        trace,
        records=records,
        peak=tuple(sp.expand(candidate.xreplace(last)) for candidate in trace.peak),
        held={},
        unique_bytes=repeat.total(trace.unique_bytes),
        provenance="summed",
    )
