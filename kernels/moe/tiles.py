"""Tile sizes of the grouped products: one fixed table, so that a shape always costs the same.

In: element size. Out: one `Tile` per kernel. Nothing is tuned at run time.
"""

from typing import NamedTuple

# Row tiles that walk over the columns together, so that the weights they share stay in the L2 cache.
BAND = 8
# Elements of a row that the elementwise kernel takes at once.
ROW_BLOCK = 1024


class Tile(NamedTuple):
    """`rows` (B_M) by `columns` (B_N) of the result, `inner` (B_K) per step, `warps`, pipeline `stages`."""

    rows: int
    columns: int
    inner: int
    warps: int
    stages: int


class Tiles(NamedTuple):
    """The tiles of one call. `gate_up` and `product` share one map of row tiles, so their `rows` must agree."""

    gate_up: Tile
    product: Tile
    weight_grad: Tile


_HALF = Tiles(Tile(128, 128, 64, 8, 3), Tile(128, 256, 64, 8, 3), Tile(128, 256, 64, 8, 3))
_SINGLE = Tiles(*[Tile(32, 32, 32, 4, 2)] * 3)

TABLE = {2: _HALF, 4: _SINGLE}


def tiles_for(element_size: int) -> Tiles:
    """The tiles for elements of 2 or 4 bytes."""
    return TABLE[element_size]
