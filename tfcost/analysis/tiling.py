"""The I/O bound of a tiled cost: its traffic and on-chip memory as formulas of the tile in, their class in M out."""

from tfcost.analysis.io import FLASH_REGIME, IoBound, io_bound
from tfcost.analysis.regime import PER_SAMPLE, Regime
from tfcost.cost import TILED_MEMORY, TILED_TRAFFIC, Cost


def tile_bound(cost: Cost) -> IoBound | None:
    """The class of the bytes per head with B_M as large as M allows and B_N as it is; None for a cost without a tile.

    Undecided (a UserError) if the regime of the FlashAttention paper leaves it open.
    """
    if TILED_TRAFFIC not in cost.composition or TILED_MEMORY not in cost.composition:
        return None
    traffic, memory = (cost.composition[name] for name in (TILED_TRAFFIC, TILED_MEMORY))
    return io_bound(traffic, memory, Regime.of(*FLASH_REGIME, constants=(*PER_SAMPLE, "B_N")))
