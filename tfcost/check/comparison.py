"""One derived and one measured value together with all that a rule may ask about them."""

from dataclasses import dataclass

from tfcost.check.derived import MODEL, Derived
from tfcost.check.partial_sums import partial_sum_bytes
from tfcost.evidence.record import Counters, Measurement, Memory

NARROWEST = {"read_bytes": 64, "write_bytes": 32}
"""What a library may make of a single row or column, and of a single term (see `Derived.narrow_flops`)."""

BLOCK = 512
"""The allocator rounds every block up to a multiple of this many bytes."""

TILES = tuple(range(32, 385, 32))
"""Sides that the tiles of a library's matrix product may have; heads and chunks lie in those of at most 64."""

_WIDE, _NARROW = ("n", "m", "d", "f", "V", "P", "w", "g", "p", "t"), ("d_h", "c")
_TILED = dict.fromkeys(_WIDE, TILES) | dict.fromkeys(_NARROW, TILES[:2])


@dataclass(frozen=True, slots=True)
class Comparison:
    """`derived` and `measured` of one quantity of one case, `source` being where the first comes from."""

    quantity: str
    derived: int | float
    measured: int | float
    measurement: Measurement
    source: Derived
    l2_bytes: int
    multiprocessors: int

    @property
    def difference(self) -> int | float:
        """Measured less derived."""
        return self.measured - self.derived

    def within_share(self, share: float) -> bool:
        """Whether the difference is at most `share` of what is derived."""
        return abs(self.difference) <= share * self.derived

    @property
    def counters(self) -> Counters:
        """The counters that the measured value comes from."""
        assert self.measurement.counters is not None
        return self.measurement.counters

    @property
    def memory(self) -> Memory:
        """The memory that the measured value comes from."""
        assert self.measurement.memory is not None
        return self.measurement.memory

    @property
    def requested(self) -> int | None:
        """The measured memory before the allocator rounded it."""
        saved = self.quantity == "saved_bytes"
        return self.memory.requested_saved_bytes if saved else self.memory.requested_peak_bytes

    @property
    def is_model(self) -> bool:
        """Whether the case is a whole model."""
        return self.measurement.case.technique == MODEL

    @property
    def all_triton(self) -> bool:
        """Whether every kernel of the case is one of the technique's own."""
        return bool(self.measurement.kernels) and all(kernel.triton for kernel in self.measurement.kernels)

    @property
    def launches(self) -> int:
        """How many kernels the case launches."""
        return sum(kernel.launches for kernel in self.measurement.kernels)

    def has_kernel(self, word: str) -> bool:
        """Whether a library's kernel has `word` in its name."""
        return any(word in kernel.name.lower() for kernel in self.measurement.kernels if not kernel.triton)

    @property
    def spilled(self) -> int:
        """Bytes that registers took to memory and back, as far as L1 did not keep them."""
        return self.counters.local_read_bytes + self.counters.local_write_bytes

    @property
    def padded(self) -> int:
        """The derived value at sizes rounded up to whole tiles, and single rows, columns and terms to the narrowest
        one: the most that padding can make of it.
        """
        rounded = {name: max(-(-size // tile) * tile for tile in tiles) for name, size, tiles in self._dimensions()}
        whole = self.source.value(self.quantity, {**self.source.values, **rounded}) or 0
        return whole + sum((fewest - 1) * self.source.narrow_flops(moved) for moved, fewest in NARROWEST.items())

    @property
    def partial_sums(self) -> int:
        """The largest buffer that one of the case's sums takes."""
        return max((partial_sum_bytes(*shape, self.multiprocessors) for shape in self.source.sums()), default=0)

    def _dimensions(self) -> list[tuple[str, int, tuple[int, ...]]]:
        exact = self.source.cost.quantities[self.quantity].exact
        return [(name, size, _TILED[name]) for name, size in self.source.values.items()
                if name in _TILED and name in exact.symbols]  # fmt: skip
