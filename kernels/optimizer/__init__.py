"""AdamW in one kernel: with a float32 master copy of 16-bit weights, and with moments of 8 bits. See README.md."""

from tfcost_kernels.optimizer.adamw import BLOCK, adamw_8bit, adamw_mixed

__all__ = ["BLOCK", "adamw_8bit", "adamw_mixed"]
