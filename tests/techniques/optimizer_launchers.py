"""The optimizer steps on random fp16 weights, for Triton's interpreter to count."""

import torch

from tfcost_kernels.optimizer import BLOCK, adamw_8bit, adamw_mixed


def run(size: int, optimizer: str, precision: str) -> None:
    """One step of `size` weights."""
    weight, gradient = (torch.randn(size).half() for _ in range(2))
    master = {"master": weight.float()} if precision == "mixed" else {}
    if optimizer == "adamw":
        adamw_mixed(weight, gradient, first=torch.zeros(size), second=torch.zeros(size), **master)
        return
    scales = {name: torch.zeros(-(-size // BLOCK)) for name in ("first_scale", "second_scale")}
    coded = {"first": torch.zeros(size, dtype=torch.int8), "second": torch.zeros(size, dtype=torch.uint8)}
    adamw_8bit(weight, gradient, **coded, **scales, **master)
