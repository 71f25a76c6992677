"""Adds up what happens once per trip over all trips of the loops around it and all programs of the grid.

A loop that strides over tiles (`for tile in range(pid, tiles, num_programs)`) takes each tile exactly once in the
whole grid, so there the sum runs over tiles instead of programs and trips.
"""

from functools import cached_property

from tfcost.derive.integers.lattice import minimum
from tfcost.derive.integers.poly import ZERO, Poly, Var
from tfcost.derive.integers.rewrite import rewrite
from tfcost.derive.integers.simplify import simplified
from tfcost.derive.integers.summation import sum_range
from tfcost.derive.sums import sum_over_range
from tfcost.derive.ttir.loops import Loop

PROGRAM_DEPTH = 2  # sizes have depth 0, what is declared of loaded numbers 1


class Totals:
    """Sums over one grid; `program_ids` are the symbols the summed expressions use for the program's position."""

    def __init__(self, grid: tuple[Poly, Poly, Poly]) -> None:
        self.grid = grid
        self._ids = tuple(Var(f"pid{axis}", 0, size - 1, PROGRAM_DEPTH) for axis, size in enumerate(grid))
        self._done: dict[tuple[Poly, tuple[Loop, ...]], Poly] = {}

    @cached_property
    def program_ids(self) -> tuple[Poly, ...]:
        """tl.program_id(axis) for each axis; 0 where the grid has one program."""
        return tuple(ZERO if size == 1 else Poly.of(var) for var, size in zip(self._ids, self.grid, strict=True))

    def over(self, body: Poly, loops: tuple[Loop, ...]) -> Poly:
        """The sum of `body` over the trips of `loops` (outermost first) and the grid. Raises `NoClosedForm`."""
        key = (body, loops)
        if key not in self._done:
            self._done[key] = simplified(self._sum(body, loops))
        return self._done[key]

    def _sum(self, body: Poly, loops: tuple[Loop, ...]) -> Poly:
        axes = [0, 1, 2]
        for position in reversed(range(len(loops))):
            loop, outer = loops[position], loops[:position]
            axis = self._strided_axis(loop, outer, body)
            if axis is not None and axis in axes:
                axes.remove(axis)
                start = loop.low - Poly.of(self._ids[axis])
                body = sum_over_range(body, Poly.of(loop.index), start, loop.high)
                continue
            index = loop.low + loop.step * Poly.of(loop.counter)
            body = sum_range(rewrite(body, {loop.index: index}), loop.counter, ZERO, loop.trips)
        # The axis that decides most last: the others are factors for it. A band of fixed width first: together with the
        # axis that counts the bands it counts one thing.
        for axis in sorted(axes, key=lambda axis: (not self.grid[axis].is_constant, -axis)):
            body = sum_range(body, self._ids[axis], ZERO, self.grid[axis])
        return body

    def _strided_axis(self, loop: Loop, outer: tuple[Loop, ...], body: Poly) -> int | None:
        """The axis whose programs share the loop's indices between them, if the body knows no more than the index."""
        for axis, var in enumerate(self._ids):
            start = loop.low - Poly.of(var)
            fixed = [start, loop.high, loop.step, *(p for o in outer for p in (o.low, o.high, o.step))]
            if any(var in poly.variables for poly in fixed) or loop.counter in body.variables or var in body.variables:
                continue
            # Every index from start on belongs to one program: all residues of the step are there, or all indices.
            if self.grid[axis] in (loop.step, minimum(loop.step, loop.high - start)):
                return axis
        return None
