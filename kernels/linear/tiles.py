"""Tile sizes of the linear attention kernels: one fixed table, so that a shape always costs the same.

In: head width, element size and, for causal attention, the chunk. Out: `Tiles`. Nothing is tuned at run time.
"""

from typing import NamedTuple

CHUNKS = (16, 32, 64, 128)
HEAD_WIDTHS = (16, 32, 64, 128)


class Tile(NamedTuple):
    """One kernel's configuration: a program's slice of the head width, its warps, and the pipeline's stages."""

    columns: int
    warps: int
    stages: int


class Tiles(NamedTuple):
    """The tiles of one call. A program owns a segment of `segment` rows and walks through it in tiles of `rows`.

    `segment` is a multiple of `rows`; causal attention takes its chunk as `rows`.
    """

    rows: int
    segment: int
    states: Tile
    output: Tile
    gradients: Tile
    dq: Tile
    dk: Tile
    dv: Tile


SEGMENT = 512


def tiles_for(head_width: int, element_size: int, rows: int = 64) -> Tiles:
    """The tiles for a `head_width` in HEAD_WIDTHS, an `element_size` of 2 or 4 bytes, and `rows` in CHUNKS.

    The kernels that carry a state through a segment work on slices of 64 columns, so that two programs fit on a
    multiprocessor; the two that only add up take the whole width, and read everything once.
    """
    if element_size == 4:
        # fp32 products run on the ordinary cores and unroll fully: narrow slices keep compile time in bounds.
        return Tiles(rows, SEGMENT, *[Tile(min(head_width, 32), 8 if head_width == 128 else 4, 1)] * 6)
    wide = head_width == 128 or rows == 128
    adding = Tile(head_width, 8 if wide else 4, 2)
    walking = Tile(min(head_width, 64), 8 if rows == 128 else 4, 1)
    walking_back = Tile(min(head_width, 64), 8 if wide else 4, 2)
    return Tiles(rows, SEGMENT, adding, walking, adding, walking, walking_back, walking_back)
