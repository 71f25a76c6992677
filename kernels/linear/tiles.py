"""Tile sizes of the linear attention kernels: one fixed table, so that a shape always costs the same.

In: head width, element size and the length of a segment. Out: `Tiles`. Nothing is tuned at run time.
"""

from typing import NamedTuple

CHUNKS = (16, 32, 64, 128, 256, 512, 1024)
HEAD_WIDTHS = (16, 32, 64, 128)
# What causal attention takes as its chunk if nobody asks for another one, and full attention as its segment.
CHUNK = 256
SEGMENT = 512


class Walk(NamedTuple):
    """A kernel that adds up one segment in tiles of `step` rows; `warps` per program, pipeline `stages`."""

    step: int
    warps: int
    stages: int


class Tile(NamedTuple):
    """A kernel whose programs own `rows` rows of the result and walk through the segment in tiles of `step` rows."""

    rows: int
    step: int
    warps: int
    stages: int


class Tiles(NamedTuple):
    """The tiles of one call. A segment of `segment` rows has a state of its own; rows and steps divide it.

    Causal attention takes its chunk as the segment.
    """

    segment: int
    states: Walk
    output: Tile
    gradients: Walk
    dq: Tile
    dk_dv: Tile


def tiles_for(head_width: int, element_size: int, segment: int = SEGMENT) -> Tiles:
    """The tiles for a `head_width` in HEAD_WIDTHS, an `element_size` of 2 or 4 bytes, and a `segment` in CHUNKS."""
    if element_size == 4:
        # fp32 products run on the ordinary cores and unroll fully: small tiles keep compile time in bounds.
        step = min(32, segment)
        return Tiles(segment, Walk(step, 8, 1), *[Tile(step, step, 8, 1)], Walk(step, 8, 1), *[Tile(step, step, 8, 1)] * 2)
    step = min(64, segment)
    rows = min(128, segment)
    warps = 8 if head_width == 128 else 4
    walk = Walk(step, warps, 3)
    tile = Tile(rows, step, 8, 2)
    return Tiles(segment, walk, tile, Walk(step, warps, 2), tile, Tile(step, min(32, segment), 4, 2))
