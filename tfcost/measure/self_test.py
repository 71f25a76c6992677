"""What the counters must read before anything else is believed: a product and a copy of known size.

In the profiled process: `run_self_test` runs them. In the one that reads the profile: `check_self_test` judges.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from tfcost.errors import CannotMeasure

SIZE = 2048
"""Rows and columns of the product."""

COPIED = 64 << 20
"""Bytes that are read and written."""

_PRODUCT, _COPY = 0, 1
_TOLERANCE = 0.01


class Profiled(Protocol):
    """The part of a device that the self-test needs."""

    name: str

    def profile(self, on: bool) -> None:
        """Switches the profiler."""


def run_self_test(device: Profiled) -> Iterator[int]:
    """The product as case 0, the copy as case 1; the number of each, when it has run."""
    import torch

    square = torch.randn(SIZE, SIZE, device=device.name, dtype=torch.bfloat16)
    product = square @ square
    source = torch.randn(COPIED // 4, device=device.name)
    target = -source
    device.profile(True)
    torch.mm(square, square, out=product)
    device.profile(False)
    yield _PRODUCT
    device.profile(True)
    # Negated, because a plain copy runs no kernel that a profiler would count.
    torch.neg(source, out=target)
    device.profile(False)
    yield _COPY


def check_self_test(found: Mapping[int, Mapping[str, int]]) -> None:
    """CannotMeasure, with what was read, unless both read what they must."""
    if _PRODUCT not in found or _COPY not in found:
        raise CannotMeasure("the self-test's kernels do not show in the profile; --no-counters measures without one")
    flops, wanted = found[_PRODUCT]["bf16_flops"], 2 * SIZE**3
    if flops != wanted:
        raise CannotMeasure(f"the counters are wrong: a {SIZE}^3 bf16 product reads {flops} FLOPs, not {wanted}; "
                            "--no-counters measures without them")  # fmt: skip
    for what, read in (("read", found[_COPY]["l2_read_bytes"]), ("written", found[_COPY]["l2_write_bytes"])):
        if abs(read - COPIED) > _TOLERANCE * COPIED:
            raise CannotMeasure(f"the counters are wrong: a copy of {COPIED} bytes reads {read} bytes {what}; "
                                "--no-counters measures without them")  # fmt: skip
