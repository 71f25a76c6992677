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


class Sums(NamedTuple):
    """A kernel that adds up states, `block` elements per program from `segments` states at a time."""

    block: int
    segments: int
    warps: int


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


# Enough loads in flight to hide the memory's latency, at every head width.
SUMS = Sums(512, 8, 2)
# By head width: states, output, gradients, dq, dk_dv. Narrower heads take the tiles of 64.
_HALF = {
    64: (Walk(64, 4, 3), Tile(64, 64, 4, 3), Walk(32, 4, 3), Tile(64, 32, 4, 3), Tile(64, 32, 4, 1)),
    128: (Walk(64, 4, 3), Tile(64, 64, 4, 2), Walk(32, 4, 3), Tile(64, 32, 4, 3), Tile(64, 32, 4, 1)),
}
# fp32 products run on the ordinary cores and unroll fully: small tiles keep compile time in bounds.
_SINGLE = (Walk(32, 8, 1), Tile(32, 32, 8, 1), Walk(32, 8, 1), Tile(32, 32, 8, 1), Tile(32, 32, 8, 1))


def tiles_for(head_width: int, element_size: int, segment: int = SEGMENT) -> Tiles:
    """The tiles for a `head_width` in HEAD_WIDTHS, an `element_size` of 2 or 4 bytes, and a `segment` in CHUNKS."""
    table = _SINGLE if element_size == 4 else _HALF[max(head_width, 64)]
    return Tiles(segment, *(_within(tile, segment) for tile in table))


def _within(tile: Walk | Tile, segment: int) -> Walk | Tile:
    """The tile, no longer than a segment."""
    shorter = tile._replace(step=min(tile.step, segment))
    return shorter._replace(rows=min(shorter.rows, segment)) if isinstance(shorter, Tile) else shorter
