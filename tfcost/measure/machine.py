"""The GPU as the driver tells it: what it is, who uses it, how warm it is. Read only: no setting is ever changed.

Asked through nvidia-smi; what is asked after every case, through nvidia-ml-py where it is installed. No CUDA context.
"""

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tfcost.errors import CannotMeasure

_FIELDS = ("name", "driver_version", "compute_cap", "memory.total", "memory.used", "mig.mode.current",
           "clocks.sm", "clocks.max.sm", "clocks.mem")  # fmt: skip
_REASONS = {0x4: "power cap", 0x8: "hardware slowdown", 0x20: "thermal slowdown (software)",
            0x40: "thermal slowdown (hardware)", 0x80: "power brake"}  # fmt: skip
_NONE = (None, "")


@dataclass(frozen=True, slots=True)
class Machine:
    """The first visible GPU: bytes, MHz, compute capability as (major, minor), and the processes that compute on it."""

    gpu: str
    driver: str
    capability: tuple[int, int]
    memory_bytes: int
    memory_used: int
    mig: bool
    processes: tuple[int, ...]
    sm_clock_mhz: int
    sm_clock_max_mhz: int
    memory_clock_mhz: int


def read_machine() -> Machine:
    """The GPU that measuring would use. CannotMeasure if there is none."""
    rows = _smi("--query-gpu", ",".join(_FIELDS))
    if not rows:
        raise CannotMeasure("no GPU: nvidia-smi lists none; measuring needs an NVIDIA GPU of compute capability 8.0 "
                            "or later (tfcost analyze and compare need none)")  # fmt: skip
    found = dict(zip(_FIELDS, rows[0], strict=True))
    major, _, minor = found["compute_cap"].partition(".")
    used = _smi("--query-compute-apps", "pid")
    return Machine(
        gpu=found["name"], driver=found["driver_version"], capability=(_number(major), _number(minor)),
        memory_bytes=_number(found["memory.total"]) << 20, memory_used=_number(found["memory.used"]) << 20,
        mig=found["mig.mode.current"] == "Enabled",
        processes=tuple(_number(row[0]) for row in used if row and row[0].isdigit()),
        sm_clock_mhz=_number(found["clocks.sm"]), sm_clock_max_mhz=_number(found["clocks.max.sm"]),
        memory_clock_mhz=_number(found["clocks.mem"]),
    )  # fmt: skip


def _number(text: str) -> int:
    """A number of nvidia-smi, 0 where it has none ("[N/A]")."""
    return int(text) if text.isdigit() else 0


def _smi(*query: str) -> list[list[str]]:
    """Rows of nvidia-smi's answer about the first visible GPU; none if there is no nvidia-smi or no GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip() or "none"
    command = ["nvidia-smi", f"--id={visible}", f"{query[0]}={query[1]}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode:
        return []
    return [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]


def read_state() -> tuple[int | None, str]:
    """Temperature in °C, and why the clock is held down ("" if it is not); (None, "") where nobody tells."""
    with suppress(ImportError):
        return _by_library()
    # Older drivers know the second name, newer ones the first.
    for name in ("clocks_event_reasons.active", "clocks_throttle_reasons.active"):
        rows = _smi("--query-gpu", f"temperature.gpu,{name}")
        if rows and len(rows[0]) == 2:
            temperature, reasons = rows[0]
            return _number(temperature), _named(int(reasons, 16) if reasons.startswith("0x") else 0)
    return _NONE


def _by_library() -> tuple[int | None, str]:
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = _handle(pynvml)
        temperature = pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
        return int(temperature), _named(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
    except pynvml.NVMLError:
        return _NONE


def _handle(pynvml: Any) -> Any:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip() or "0"
    if visible.isdigit():
        return pynvml.nvmlDeviceGetHandleByIndex(int(visible))
    return pynvml.nvmlDeviceGetHandleByUUID(visible)


def _named(mask: int) -> str:
    return ", ".join(name for bit, name in _REASONS.items() if mask & bit)
