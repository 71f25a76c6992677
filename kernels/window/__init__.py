"""Sparse attention by position in Triton: windows, blocks, dilated and strided keys, global tokens. See README.md."""

from tfcost_kernels.window.attention import (
    block_local_attention,
    dilated_attention,
    longformer_attention,
    strided_attention,
    window_attention,
)

__all__ = [
    "block_local_attention",
    "dilated_attention",
    "longformer_attention",
    "strided_attention",
    "window_attention",
]
