"""Tile sizes of the decode kernels: one fixed table, so that a shape always costs the same.

In: head width and element size. Out: one `Tile`. Nothing is tuned at run time.
"""

from typing import NamedTuple

# Query heads per program: the fewest rows that a matrix unit takes.
ROWS = 16
# Partial results that the combining kernel reads at once.
PARTS = 16


class Tile(NamedTuple):
    """`keys` per tile (B_N), `warps` per program, pipeline `stages`."""

    keys: int
    warps: int
    stages: int


_HALF = {
    16: Tile(128, 4, 4),
    32: Tile(128, 4, 4),
    64: Tile(128, 4, 3),
    128: Tile(128, 4, 3),
    256: Tile(32, 4, 3),
}
_SINGLE = {width: Tile(32, 4, 2) for width in _HALF}

TABLE = {(width, size): tile for size, rows in ((2, _HALF), (4, _SINGLE)) for width, tile in rows.items()}
HEAD_WIDTHS = tuple(_HALF)


def tile_for(head_width: int, element_size: int) -> Tile:
    """The tile for a `head_width` in HEAD_WIDTHS and an `element_size` of 2 or 4 bytes."""
    return TABLE[head_width, element_size]
