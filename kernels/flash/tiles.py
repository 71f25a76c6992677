"""Tile sizes of the flash kernels: one fixed table, so that a shape always costs the same.

In: head width and element size. Out: one `Tile` per kernel. `tests/gpu/check_flash.py --tune` times candidates for
this table; nothing is tuned at run time.
"""

from tfcost_kernels.common.tiles import Tile, Tiles

_HALF = {
    16: Tiles(Tile(128, 64, 4, 3), Tile(64, 64, 4, 3), Tile(128, 64, 4, 3)),
    32: Tiles(Tile(128, 64, 4, 3), Tile(64, 64, 4, 3), Tile(128, 64, 4, 3)),
    64: Tiles(Tile(128, 64, 8, 3), Tile(32, 64, 4, 3), Tile(128, 64, 8, 3)),
    128: Tiles(Tile(128, 128, 8, 3), Tile(32, 64, 4, 3), Tile(128, 64, 8, 3)),
    256: Tiles(Tile(128, 64, 8, 2), Tile(32, 64, 8, 2), Tile(128, 32, 8, 2)),
}
# fp32 products run on the ordinary cores and unroll fully: small tiles keep registers and compile time in bounds.
_SINGLE = {width: Tiles(*[Tile(32, 32, 4, 2)] * 3) for width in _HALF}

TABLE = {(width, size): tiles for size, rows in ((2, _HALF), (4, _SINGLE)) for width, tiles in rows.items()}
HEAD_WIDTHS = tuple(_HALF)


def tiles_for(head_width: int, element_size: int) -> Tiles:
    """The tiles for a `head_width` in HEAD_WIDTHS and an `element_size` of 2 or 4 bytes."""
    return TABLE[head_width, element_size]
