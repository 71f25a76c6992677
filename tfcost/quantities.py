"""The quantities tfcost reports: name, unit, meaning. They are never mixed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuantityKind:
    """One kind of quantity: `additive` ones sum over steps, the others (peak, saved) do not."""

    name: str
    label: str
    unit: str
    additive: bool
    meaning: str


_TABLE = (
    QuantityKind(
        "algorithmic_flops",
        "algorithmic FLOPs",
        "FLOP",
        True,
        "what the mathematics asks for: allowed pairs only, no padding",
    ),
    QuantityKind(
        "matmul_flops",
        "matmul FLOPs",
        "FLOP",
        True,
        "what the implementation issues on the matrix units, padding included; FMA = 2",
    ),
    QuantityKind(
        "scalar_flops",
        "scalar FLOPs",
        "FLOP",
        True,
        "elementwise and reduction arithmetic, one per operation and element",
    ),
    QuantityKind(
        "issued_bytes", "issued bytes", "B", True, "bytes the operations read and write, masked-off lanes not counted"
    ),
    QuantityKind(
        "unique_bytes", "unique bytes", "B", False, "each distinct byte once: the floor for traffic to device memory"
    ),
    QuantityKind(
        "peak_bytes", "peak memory", "B", False, "the most memory alive at once, inputs and parameters included"
    ),
    QuantityKind("saved_bytes", "saved for backward", "B", False, "what the forward pass keeps for the backward pass"),
    QuantityKind("parameter_bytes", "parameter memory", "B", False, "memory of the weights"),
    QuantityKind("parameters", "parameters", "1", False, "number of weights"),
    QuantityKind("communicated_bytes", "communicated", "B", True, "bytes that collectives are given, on one GPU"),
    QuantityKind("sram_bytes", "on-chip memory", "B", False, "on-chip memory of one kernel program"),
)

QUANTITIES: dict[str, QuantityKind] = {kind.name: kind for kind in _TABLE}
