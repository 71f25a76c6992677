"""A mixture of experts without dropped tokens, by grouped products. See README.md."""

from tfcost_kernels.moe.layer import moe_ffn

__all__ = ["moe_ffn"]
