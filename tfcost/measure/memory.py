"""How much memory a run takes: the allocator's own account, above what was there before the arguments were made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tfcost.evidence.record import Memory

BLOCK = 512
"""Bytes that the CUDA caching allocator rounds a block up to (c10/cuda/CUDACachingAllocator.cpp, kMinBlockSize)."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the allocator has given out: bytes of its blocks, bytes that were asked for, and the number of blocks."""

    allocated: int
    requested: int
    blocks: int


class Allocator(Protocol):
    """What is alive now, and the most that was since the last `reset_peak`."""

    def current(self) -> Account:
        """What is alive now."""

    def reset_peak(self) -> None:
        """Begins a new maximum from what is alive now."""

    def peak(self) -> Account:
        """Each number at its own highest."""


class MemoryHooks:
    """Watches one run. Made before the arguments are; `found` is there when the run is over."""

    def __init__(self, allocator: Allocator) -> None:
        self._allocator = allocator
        self._base = allocator.current()
        self._peaks: list[Account] = []
        self._saved: tuple[int, int] | None = None

    def begin(self) -> None:
        """A pass begins: what is alive now counts, what was before does not."""
        self._allocator.reset_peak()

    def end(self) -> None:
        """The pass is over."""
        self._peaks.append(self._allocator.peak())

    def left(self, held: Sequence[int]) -> None:
        """What is alive without what the caller holds is what the forward pass left."""
        now, base = self._allocator.current(), self._base
        rounded = sum(-(-size // BLOCK) * BLOCK for size in held)
        self._saved = (now.allocated - base.allocated - rounded, now.requested - base.requested - sum(held))

    def found(self) -> Memory:
        """The largest of all that was seen."""
        saved, requested_saved = self._saved or (None, None)
        return Memory(
            peak_bytes=max(peak.allocated for peak in self._peaks) - self._base.allocated,
            requested_peak_bytes=max(peak.requested for peak in self._peaks) - self._base.requested,
            blocks=max(peak.blocks for peak in self._peaks) - self._base.blocks,
            saved_bytes=saved,
            requested_saved_bytes=requested_saved,
        )
