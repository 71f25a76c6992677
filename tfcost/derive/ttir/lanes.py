"""Lane arithmetic: a tensor of integers is one expression in its lane numbers, a mask one condition.

Dimension i of a tensor has the lane variable `lane(i, size)`, 0 <= lane < size; a dimension of size 1 has none.
Here lane numbers move when a tensor changes shape; `counting` counts the lanes on which a mask holds.
"""

from collections.abc import Mapping
from math import prod

from tfcost.derive.integers.division import floor_div, remainder
from tfcost.derive.integers.poly import ZERO, Atom, Poly, Var

_DEPTH = 1_000_000  # deeper than every loop: lanes are summed first

Shape = tuple[int, ...]


def lane(axis: int, size: int) -> Poly:
    """The lane number along `axis` of a tensor that has `size` elements there."""
    return Poly.of(lane_variable(axis, size)) if size > 1 else ZERO


def lane_variable(axis: int, size: int) -> Var:
    """The variable behind `lane`."""
    return Var(f"lane{axis}", 0, size - 1, _DEPTH + axis)


def is_lane(var: Var) -> bool:
    """Whether the variable counts lanes."""
    return var.depth >= _DEPTH


Moves = Mapping[Atom, Poly]


def expanded(shape: Shape, axis: int) -> Moves:
    """A new dimension of size 1 at `axis`: the ones behind it move up. `shape` is the shape before."""
    return {lane_variable(i, size): lane(i + (i >= axis), size) for i, size in enumerate(shape) if size > 1}


def permuted(shape: Shape, order: tuple[int, ...]) -> Moves:
    """tt.trans: dimension order[i] of the operand becomes dimension i."""
    return {lane_variable(old, shape[old]): lane(new, shape[old]) for new, old in enumerate(order) if shape[old] > 1}


def reshaped(before: Shape, after: Shape) -> Moves:
    """Row-major reshape: the operand's lane numbers are read off the flat index of the result."""
    flat, stride = ZERO, 1
    for axis in reversed(range(len(after))):
        flat = flat + lane(axis, after[axis]) * stride
        stride *= after[axis]
    moves: dict[Atom, Poly] = {}
    for axis, size in enumerate(before):
        if size > 1:
            moves[lane_variable(axis, size)] = remainder(floor_div(flat, prod(before[axis + 1 :])), size)
    return moves
