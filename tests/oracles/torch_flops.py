"""What torch's own counter says a call multiplies, the call really made."""

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode


def counted(call: Callable[[], object]) -> int:
    """The FLOPs of the matrix products in `call`."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops()
