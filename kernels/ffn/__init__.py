"""The gated activation of a feed-forward network in one kernel per pass. See README.md."""

from tfcost_kernels.ffn.gated import gated_activation

__all__ = ["gated_activation"]
