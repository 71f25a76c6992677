"""Tiles of attention kernels that walk over keys: what a table of tile sizes holds. Out: `Tile`, `Tiles`."""

from typing import NamedTuple


class Tile(NamedTuple):
    """One kernel's configuration: `rows` queries (B_M) by `keys` keys (B_N), `warps` per program, pipeline `stages`."""

    rows: int
    keys: int
    warps: int
    stages: int


class Tiles(NamedTuple):
    """The tiles of one call: the forward kernel and the two backward kernels."""

    forward: Tile
    dk_dv: Tile
    dq: Tile
