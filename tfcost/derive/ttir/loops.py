"""The loops of a kernel: bounds, trip count and counter of an scf.for as symbolic expressions."""

from dataclasses import dataclass

from tfcost.derive.integers.division import ceil_div
from tfcost.derive.integers.lattice import maximum
from tfcost.derive.integers.poly import Poly, Var
from tfcost.derive.integers.prove import is_nonnegative
from tfcost.derive.ttir.errors import KernelError
from tfcost.derive.ttir.symbols import Symbolic, Unknown, upper_bound
from tfcost.derive.ttir.tree import Operation


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """`index` runs from `low` to below `high` by `step`, `trips` times; `counter` is how many trips came before.

    `bounded` is "" or says why the trip count is an upper bound only.
    """

    operation: Operation
    low: Poly
    high: Poly
    step: Poly
    trips: Poly
    index: Var
    counter: Var
    bounded: str


def make_loop(operation: Operation, low: Symbolic, high: Symbolic, step: Symbolic, depth: int) -> Loop:
    """The loop with these bounds, nested `depth` deep. Raises `KernelError` if its trip count has no bound."""
    limit = upper_bound(high)
    if not isinstance(low, Poly) or not isinstance(step, Poly) or limit is None:
        unknown = next((value.reason for value in (low, step, high) if isinstance(value, Unknown)), "no integer")
        raise KernelError(operation, f"the loop's bounds depend on {unknown}")
    if not is_nonnegative(step):
        raise KernelError(operation, "the loop's step is not known to be positive")
    trips = ceil_div(limit - low, step)
    if not is_nonnegative(trips):
        trips = maximum(0, trips)
    index = Var(f"loop{depth}", low, limit - 1, depth)
    counter = Var(f"trip{depth}", 0, trips - 1, depth)
    return Loop(operation, low, limit, step, trips, index, counter, high.reason if isinstance(high, Unknown) else "")
