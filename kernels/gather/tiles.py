"""Tile sizes of the gather kernels: one fixed table, so that a shape always costs the same.

In: block, head width, element size. Out: one `Tile` per kernel. Nothing is tuned at run time.
"""

from typing import NamedTuple

BLOCKS = (16, 32, 64, 128)
HEAD_WIDTHS = (16, 32, 64, 128, 256)
_LARGEST_TILE = 32 * 1024  # bytes of one tile of keys; more would leave no room to prefetch


class Tile(NamedTuple):
    """`rows` of queries per step, `warps` per program, pipeline `stages`. The keys per step are always one block."""

    rows: int
    warps: int
    stages: int


class Tiles(NamedTuple):
    """The tiles of one call."""

    forward: Tile
    dk_dv: Tile
    dq: Tile


def tiles_for(block: int, head_width: int, element_size: int) -> Tiles:
    """The tiles for a block in BLOCKS, a width in HEAD_WIDTHS, 2 or 4 bytes. ValueError if they do not fit on chip."""
    tile_bytes = block * head_width * element_size
    if tile_bytes > _LARGEST_TILE:
        raise ValueError(f"blocks of {block} do not fit on chip at head width {head_width} in {element_size} bytes")
    stages = 1 if element_size == 4 else 2 if tile_bytes == _LARGEST_TILE else 3
    forward = Tile(block, 8 if block == 128 or head_width == 256 else 4, stages)
    # dK and dV together take twice the registers of O or dQ, which leaves room for few queries at once.
    rows = min(block, 16 if head_width == 256 else 32)
    # Two groups of four warps share the rows of a product only if there are 128: else both compute all of them.
    warps = 8 if block == 128 or head_width == 256 else 4
    return Tiles(forward, Tile(rows, warps, min(stages, 2)), forward)
