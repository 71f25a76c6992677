"""Counts the lanes of a tensor on which a condition holds, as an exact expression in counters and sizes.

A conjunction of bounds on different lanes multiplies; bounds on one lane intersect to an interval; a bound that ties
lanes together (row >= column) is solved for one lane and summed over the other.
"""

from collections.abc import Sequence

from tfcost.derive.integers.division import ceil_div, floor_div
from tfcost.derive.integers.lattice import clamp, maximum, minimum
from tfcost.derive.integers.poly import ZERO, Poly, Var
from tfcost.derive.integers.prove import is_nonnegative
from tfcost.derive.integers.summation import sum_range
from tfcost.derive.ttir.conditions import All, AnyOf, AtLeastZero, Condition, Not
from tfcost.derive.ttir.lanes import Shape, is_lane, lane_variable


def active_lanes(shape: Shape, condition: Condition) -> Poly:
    """How many elements of a tensor of this shape satisfy the (decided) condition.

    Raises `NoClosedForm`.
    """
    total = ZERO
    for weight, bounds in _signed_conjunctions(condition):
        total = total + weight * _count(shape, bounds)
    return total


def indicator(condition: Condition) -> Poly:
    """1 where the (decided) condition holds, else 0, as an expression in its variables, lanes included."""
    total = ZERO
    for weight, bounds in _signed_conjunctions(condition):
        total = total + weight * _all_hold(bounds)
    return total


def _all_hold(bounds: Sequence[Poly]) -> Poly:
    # Integers: the smallest of 1 and all bounds plus one is 1 if no bound is negative, and at most 0 otherwise.
    return maximum(0, minimum(1, *(bound + 1 for bound in bounds)))


def _signed_conjunctions(condition: Condition) -> list[tuple[int, tuple[Poly, ...]]]:
    """The indicator as a sum of signed conjunctions of `expr >= 0`: 1 - x for not, x + y - x*y for or."""
    if isinstance(condition, AtLeastZero):
        return [(1, (condition.expr,))]
    if isinstance(condition, Not):
        return [(1, ()), *((-weight, bounds) for weight, bounds in _signed_conjunctions(condition.part))]
    if isinstance(condition, All):
        total: list[tuple[int, tuple[Poly, ...]]] = [(1, ())]
        for part in condition.parts:
            factor = _signed_conjunctions(part)
            total = [(a * b, tuple(dict.fromkeys(x + y))) for a, x in total for b, y in factor]
        return total
    if isinstance(condition, AnyOf):
        opposite: list[Condition] = [Not(part) for part in condition.parts]
        return _signed_conjunctions(Not(All(tuple(opposite))))
    raise TypeError(f"an undecided condition cannot be counted: {condition}")


def _count(shape: Shape, bounds: tuple[Poly, ...]) -> Poly:
    """The lanes on which every bound is >= 0."""
    open_bounds = [bound for bound in bounds if not is_nonnegative(bound)]
    if any(is_nonnegative(-bound - 1) for bound in open_bounds):
        return ZERO
    scalar = [bound for bound in open_bounds if not any(map(is_lane, bound.variables))]
    total = _all_hold(scalar)
    tied = [bound for bound in open_bounds if bound not in scalar]
    for axis, size in enumerate(shape):
        if not any(lane_variable(axis, size) in bound.variables for bound in tied):
            total = total * size
    for group in _groups_by_lane(tied):
        total = total * _count_group(group)
    return total


def _groups_by_lane(bounds: list[Poly]) -> list[list[Poly]]:
    """Bounds that share a lane, directly or through others, stand in one group."""
    groups: list[tuple[set[Var], list[Poly]]] = []
    for bound in bounds:
        lanes, members = set(filter(is_lane, bound.variables)), [bound]
        for group in [group for group in groups if not lanes.isdisjoint(group[0])]:
            lanes |= group[0]
            members = group[1] + members
            groups.remove(group)
        groups.append((lanes, members))
    return [members for _, members in groups]


def _count_group(bounds: list[Poly]) -> Poly:
    lanes = sorted({var for bound in bounds for var in bound.variables if is_lane(var)}, key=lambda var: -var.depth)
    # Solve for the lane with the plainest bounds, then sum that count over the others.
    solved = next((var for var in lanes if _is_linear(bounds, var)), None)
    total = _all_hold(bounds) if solved is None else _count_along(bounds, solved)
    for var in lanes:
        if var != solved:
            assert var.upper is not None
            total = sum_range(total, var, 0, var.upper + 1)
    return total


def _is_linear(bounds: list[Poly], var: Var) -> bool:
    for bound in bounds:
        parts = bound.affine(var)
        if parts is None or not parts[0].is_constant:
            return False
    return True


def _count_along(bounds: list[Poly], var: Var) -> Poly:
    """The lanes 0 <= var <= upper on which every bound slope*var + rest is >= 0."""
    assert var.upper is not None
    size = var.upper + 1
    lows: list[Poly] = []
    highs: list[Poly] = []
    fixed: list[Poly] = []
    for bound in bounds:
        parts = bound.affine(var)
        assert parts is not None
        slope, rest = int(parts[0].constant), parts[1]
        if slope > 0:
            lows.append(ceil_div(-rest, slope))
        elif slope < 0:
            highs.append(floor_div(rest, -slope) + 1)
        else:
            fixed.append(bound)
    count = _interval(lows, highs, size)
    return count * _all_hold(fixed)


def _interval(lows: list[Poly], highs: list[Poly], size: Poly) -> Poly:
    """How many of 0 ... size-1 are >= every low and < every high."""
    low = maximum(*lows) if lows else ZERO
    high = minimum(*highs) if highs else size
    if is_nonnegative(high - low):
        # Those below `high` less those below `low`: a form that telescopes when tiles are summed.
        return clamp(high, 0, size) - clamp(low, 0, size)
    return maximum(0, minimum(size, high) - maximum(0, low))
