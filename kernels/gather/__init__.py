"""Attention to the key blocks that an index lists, tile by tile. See README.md."""

from tfcost_kernels.gather.attention import gather_attention

__all__ = ["gather_attention"]
