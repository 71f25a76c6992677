"""One derived and one measured value together with all that a rule may ask about them."""

from dataclasses import dataclass

from tfcost.check.derived import MODEL, Derived
from tfcost.evidence.record import Counters, Measurement, Memory

BLOCK = 512
"""The allocator rounds every block up to a multiple of this many bytes."""

TILE, NARROW = 256, 64
"""The largest tile of the libraries' matrix products in rows or columns, and the width that heads and chunks fill."""

_TILED = dict.fromkeys(("n", "m", "d", "f", "V", "P", "w", "g", "p", "t"), TILE) | dict.fromkeys(("d_h", "c"), NARROW)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`derived` and `measured` of one quantity of one case, `source` being where the first comes from."""

    quantity: str
    derived: int | float
    measured: int | float
    measurement: Measurement
    source: Derived
    l2_bytes: int

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
    def spills(self) -> bool:
        """Whether a kernel uses all 255 registers that a thread can have: what does not fit goes through memory."""
        return any(kernel.registers >= 255 for kernel in self.measurement.kernels)

    @property
    def whole_tiles(self) -> bool:
        """Whether every size that a matrix product may have as a dimension is a multiple of a library's tile."""
        return all(size % _TILED[name] == 0 for name, size in self._dimensions())

    @property
    def padded(self) -> int:
        """The derived value at sizes rounded up to whole tiles: the most that padding can make of it."""
        rounded = {name: -(-size // _TILED[name]) * _TILED[name] for name, size in self._dimensions()}
        return self.source.value(self.quantity, {**self.source.values, **rounded}) or 0

    def _dimensions(self) -> list[tuple[str, int]]:
        exact = self.source.cost.quantities[self.quantity].exact
        return [(name, size) for name, size in self.source.values.items() if name in _TILED and name in exact.symbols]
