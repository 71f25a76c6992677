"""Linear attention in Triton: a feature map instead of softmax, so that time grows with n, not n². See README.md."""

from tfcost_kernels.linear.attention import causal_linear_attention, linear_attention
from tfcost_kernels.linear.decode import linear_decode_step

__all__ = ["causal_linear_attention", "linear_attention", "linear_decode_step"]
