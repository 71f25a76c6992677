"""FlashAttention in Triton: exact attention that never writes the n x m score matrix. See README.md."""

from tfcost_kernels.flash.attention import flash_attention

__all__ = ["flash_attention"]
