"""Predicted time: a cost, sizes and a device in; seconds and what bounds them out. Always a prediction.

Every torch operation and every kernel launch is one roofline: the longest of its matmul FLOPs, its scalar FLOPs and
its bytes, each at the device's peak; the sum over all of them, plus the launches, is the time (Williams et al., 2009).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tfcost.analysis.devices import Figure
from tfcost.analysis.polynomial import Exact
from tfcost.cost import Cost, Operation
from tfcost.errors import UserError

BOUNDS = ("matmul", "scalar", "memory", "launch")


class Machine(Protocol):
    """What a prediction needs to know: a device of the table, or ceilings that were measured."""

    @property
    def name(self) -> str:
        """What the machine is called."""

    @property
    def label(self) -> str:
        """The same with what belongs to it, for a heading."""

    @property
    def scalar_flops(self) -> Figure:
        """FLOP/s outside the matrix units."""

    @property
    def bandwidth(self) -> Figure:
        """B/s of device memory."""

    @property
    def launch_seconds(self) -> Figure | None:
        """Seconds from one kernel to the next; None: not known."""

    @property
    def memory_bytes(self) -> Figure:
        """Bytes of device memory."""

    @property
    def unified_memory(self) -> bool:
        """Whether the CPU and its programs use that memory too."""

    def matmul_peak(self, dtype: str) -> float:
        """FLOP/s of matrix products in `dtype`. UserError if there is no figure for it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One operation or kernel launch: its `seconds` and, per resource of `BOUNDS`, the seconds that one would need."""

    name: str
    step: str
    seconds: float
    needs: Mapping[str, float]
    bound: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted time. `bound` is the resource that most of the time is spent on, `shares` what each one's part is,
    `lacks` what the machine has no figure for and the prediction therefore leaves out.
    """

    seconds: float
    bound: str
    shares: Mapping[str, float]
    parts: tuple[Part, ...]
    device: str
    dtype: str
    lacks: tuple[str, ...] = ()
    kind: str = "prediction"


def predict(cost: Cost, values: Mapping[str, Exact], device: Machine, dtype: str | None = None) -> Prediction:
    """The time of `cost` at `values` on `device`; matrix products run in `dtype` (the cost's own if None).

    A kernel reads many bytes more than once; what comes from device memory is then at most each distinct byte once
    (`unique_bytes`), the rest is served on chip. UserError for a missing size or dtype.
    """
    dtype = dtype or cost.dtypes[0]
    values = {**cost.fixed, **values}
    unique = cost.quantities["unique_bytes"].exact.evaluate(values) if "unique_bytes" in cost.quantities else None
    peaks = {"matmul": device.matmul_peak(dtype), "scalar": device.scalar_flops.value, "memory": device.bandwidth.value}
    launch_seconds = device.launch_seconds.value if device.launch_seconds else 0.0
    try:
        parts = tuple(
            _part(operations, values, peaks, launch_seconds, unique) for operations in _rooflines(cost.operations)
        )
    except OverflowError:
        raise UserError("the sizes are too large to predict a time for") from None
    return _summed(parts, device, dtype)


def lacking(device: Machine) -> tuple[str, ...]:
    """What a prediction for `device` leaves out, in words."""
    return () if device.launch_seconds else (f"{device.name} has no figure for launches: they count as no time",)


def _rooflines(operations: Iterable[Operation]) -> list[list[Operation]]:
    """The operations that run together: the lines of one kernel launch, or a single torch operation."""
    groups: dict[str | int, list[Operation]] = {}
    for index, operation in enumerate(operations):
        groups.setdefault(operation.launch or index, []).append(operation)
    return list(groups.values())


def _part(
    operations: list[Operation],
    values: Mapping[str, Exact],
    peaks: Mapping[str, float],
    launch_seconds: float,
    unique: Exact | None,
) -> Part:
    first = operations[0]
    moved = _total(operations, ("read_bytes", "write_bytes"), values)
    if first.launch and unique is not None:
        moved = min(moved, unique)
    amounts = {
        "matmul": _total(operations, ("matmul_flops",), values),
        "scalar": _total(operations, ("scalar_flops",), values),
        "memory": moved,
    }
    needs = {resource: float(amount) / peaks[resource] for resource, amount in amounts.items()}
    roofline = max(needs.values())
    needs["launch"] = launch_seconds * sum(operation.launches for operation in operations)
    bound = max(needs, key=lambda resource: needs[resource])
    return Part(first.launch or first.name, first.step, roofline + needs["launch"], needs, bound)


def _total(operations: list[Operation], names: tuple[str, ...], values: Mapping[str, Exact]) -> Exact:
    total: Exact = 0
    for operation in operations:
        for name in names:
            if name in operation.amounts:
                total += operation.amounts[name].evaluate(values)
    return total


def _summed(parts: tuple[Part, ...], device: Machine, dtype: str) -> Prediction:
    seconds = sum(part.seconds for part in parts)
    spent = dict.fromkeys(BOUNDS, 0.0)
    for part in parts:
        spent["launch"] += part.needs["launch"]
        if part.seconds > part.needs["launch"]:
            roofline = max(BOUNDS[:3], key=lambda resource: part.needs[resource])
            spent[roofline] += part.seconds - part.needs["launch"]
    shares = {resource: time / seconds if seconds else 0.0 for resource, time in spent.items()}
    bound = max(BOUNDS, key=lambda resource: spent[resource])
    return Prediction(seconds, bound, shares, parts, device.name, dtype, lacking(device))
