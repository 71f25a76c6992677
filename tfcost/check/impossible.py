"""A measurement and the ceilings of its run in, why it cannot be out: a speed above what the GPU did at best.

FLOPs are those that the tensor cores counted, or else those that the formula asks for; bytes those that device memory
counted, or else the distinct ones that do not fit in L2. A time below what they take is of something else.
"""

from collections.abc import Iterator

from tfcost.analysis.ceilings import Measured
from tfcost.check.derived import Derived
from tfcost.evidence.record import Measurement

SLACK = 0.05
"""Ceilings are measured too: a product of other sizes, or bytes that are only read, may go a little faster."""


def impossible(measurement: Measurement, derived: Derived, ceilings: Measured, l2_bytes: int) -> str:
    """Why `measurement` cannot be, both numbers in it; "" if it can."""
    if measurement.timing is None:
        return ""
    seconds = measurement.timing.median
    for amount, what, unit, ceiling in _amounts(measurement, derived, ceilings, l2_bytes):
        speed = amount / seconds
        if speed > ceiling * (1 + SLACK):
            return (
                f"impossible: {amount:.4g} {what} in {seconds:.4g} s are {speed:.4g} {unit}/s, "
                f"above the measured ceiling of {ceiling:.4g} {unit}/s"
            )
    return ""


def _amounts(
    measurement: Measurement, derived: Derived, ceilings: Measured, l2_bytes: int
) -> Iterator[tuple[int, str, str, float]]:
    """What was done at least, in words, its unit, and the most of it that the GPU did in a second."""
    counters, dtype = measurement.counters, measurement.case.dtype
    if dtype in ceilings.matmul_flops:
        counted = {"bfloat16": "bf16_flops", "float16": "fp16_flops"}.get(dtype)
        if counters and counted:
            yield getattr(counters, counted), f"{dtype} FLOP of the tensor cores", "FLOP", ceilings.matmul_peak(dtype)
        elif not _at_most(derived):
            # On a GPU single precision may run as tf32: the faster of both is the ceiling.
            peak = max(ceilings.matmul_flops[name].value for name in _run_as(dtype) if name in ceilings.matmul_flops)
            yield derived.value("matmul_flops") or 0, f"{dtype} FLOP of matrix products", "FLOP", peak
    if counters:
        moved = counters.hbm_read_bytes + counters.hbm_write_bytes
        yield moved, "bytes of device memory", "B", ceilings.bandwidth.value
    elif not _at_most(derived):
        beyond = (derived.value("unique_bytes") or 0) - l2_bytes
        yield max(beyond, 0), "distinct bytes beyond L2", "B", ceilings.bandwidth.value


def _run_as(dtype: str) -> tuple[str, ...]:
    return ("float32", "tf32") if dtype == "float32" else (dtype,)


def _at_most(derived: Derived) -> bool:
    """Whether data decide how much is done, and the formula says the most."""
    return any(text.startswith("the most") or ": at most:" in text for text in derived.cost.assumptions)
