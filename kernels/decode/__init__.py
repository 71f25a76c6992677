"""Attention of one new token over a KV cache, split over the keys. See README.md."""

from tfcost_kernels.decode.attention import decode_attention

__all__ = ["decode_attention"]
