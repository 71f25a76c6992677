"""Devices: a name of the table (or a YAML file of the same form) in, the ceilings for predictions out.

A figure that no source gives is left out of a device's file; what cannot be, or looks like a peak with sparsity, is an
error at its line.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from tfcost.config.fields import shown
from tfcost.config.yaml_file import YamlFile, read_yaml
from tfcost.errors import UserError, nearest

DEFAULT_DEVICE = "h100-sxm"
"""The device that times are predicted for where none is named."""


DTYPES = ("float4", "float8", "bfloat16", "float16", "tf32", "float32", "float64")
"""What a device may have a peak for."""

_POSSIBLE = {
    "matmul_flops": (1e9, 1e17, "FLOP/s"),
    "scalar_flops": (1e9, 1e16, "FLOP/s"),
    "bandwidth": (1e8, 1e14, "B/s"),
    "memory_bytes": (1e8, 1e14, "B"),
    "l2_bytes": (1e4, 1e11, "B"),
    "multiprocessors": (1, 1e5, ""),
    "sram_bytes": (1e3, 1e9, "B"),
    "launch_seconds": (1e-9, 1, "s"),
}
"""The least and the most that a figure can be, on anything built so far and a good deal beyond."""

_HALVES = (("tf32", "bfloat16"), ("tf32", "float16"), ("bfloat16", "float8"), ("float16", "float8"))
"""A step down in width doubles a dense peak: four times, or once, is a peak with sparsity beside one without."""


class Figure(BaseModel):
    """One number and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: float = Field(gt=0, allow_inf_nan=False)
    source: str = Field(min_length=1)


class Device(BaseModel):
    """What a device can do at best: FLOP/s, B/s, bytes and seconds.

    `matmul_flops` is the dense peak per dtype ("bfloat16", "tf32", ...), `scalar_flops` the fp32 peak outside the
    matrix units, `sram_bytes` the shared memory of one multiprocessor, `launch_seconds` the time from one kernel to
    the next. With `unified_memory` the CPU and its programs take their share of the memory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(min_length=1)
    label: str = Field(min_length=1)
    matmul_flops: dict[str, Figure] = Field(min_length=1)
    scalar_flops: Figure
    bandwidth: Figure
    memory_bytes: Figure
    l2_bytes: Figure | None = None
    multiprocessors: Figure | None = None
    sram_bytes: Figure | None = None
    launch_seconds: Figure | None = None
    unified_memory: StrictBool = False

    def matmul_peak(self, dtype: str) -> float:
        """FLOP/s of matrix products in `dtype`. UserError if the device has no figure for it."""
        if dtype not in self.matmul_flops:
            given = ", ".join(self.matmul_flops)
            raise UserError(f"{self.label} has no peak for {dtype}, only for {given}")
        return self.matmul_flops[dtype].value


def device_names() -> tuple[str, ...]:
    """The names in the table."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


@lru_cache
def load_device(name: str) -> Device:
    """The device called `name`, or the one in the file `name` if that ends in .yaml.

    UserError for an unknown name and, with file and line, for a file that is not a device.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    elif name in device_names():
        path = _folder() / f"{name}.yaml"
    else:
        raise UserError(f"unknown device '{name}'{nearest(name, device_names())}")
    file = read_yaml(path)
    try:
        device = Device.model_validate(file.data)
    except ValidationError as error:
        raise _user_error(error, file) from None
    _check(device, file)
    if name not in device_names():
        _check_twin(device, file)
    return device


def _folder() -> Path:
    return Path(str(files("tfcost.devices")))


def _check(device: Device, file: YamlFile) -> None:
    """UserError, with file and line, for a figure that cannot be and for a peak that does not fit its neighbour."""
    for dtype in device.matmul_flops:
        if dtype not in DTYPES:
            raise file.error(("matmul_flops", dtype), f"unknown dtype '{dtype}'{nearest(dtype, DTYPES)}")
    for place, figure in _figures(device):
        least, most, unit = _POSSIBLE[place[0]]
        if not least <= figure.value <= most:
            name, unit = ".".join(place), f" {unit}".rstrip()
            raise file.error(
                (*place, "value"), f"{name} = {figure.value:g}{unit} cannot be: from {least:g} to {most:g}{unit}"
            )
    peaks = device.matmul_flops
    for wide, narrow in _HALVES:
        if wide in peaks and narrow in peaks and not 1.5 < (ratio := peaks[narrow].value / peaks[wide].value) < 2.5:
            raise file.error(
                ("matmul_flops", narrow, "value"),
                f"matmul_flops.{narrow} is {ratio:.3g} times {wide}, where twice is to be expected of dense peaks: "
                "one of them is the figure with sparsity or with another accumulation",
            )


def _check_twin(device: Device, file: YamlFile) -> None:
    """UserError for a peak that is twice that of the table's device with the same memory: the one with sparsity."""
    for known in map(load_device, device_names()):
        same = all(
            math.isclose(getattr(device, name).value, getattr(known, name).value, rel_tol=0.05)
            for name in ("memory_bytes", "bandwidth")
        )
        for dtype in device.matmul_flops.keys() & known.matmul_flops.keys() if same else ():
            if math.isclose(device.matmul_flops[dtype].value, 2 * known.matmul_flops[dtype].value, rel_tol=0.02):
                raise file.error(
                    ("matmul_flops", dtype, "value"),
                    f"matmul_flops.{dtype} is twice the dense peak of {known.name}, which has the same memory: "
                    "give the figure without sparsity",
                )


def _figures(device: Device) -> Iterator[tuple[tuple[str, ...], Figure]]:
    """Every figure with its place in the file."""
    for dtype, figure in device.matmul_flops.items():
        yield ("matmul_flops", dtype), figure
    for name in _POSSIBLE:
        value = getattr(device, name)
        if isinstance(value, Figure):
            yield (name,), value


def _user_error(error: ValidationError, file: YamlFile) -> UserError:
    """A misspelt key first: it is why another one is missing."""
    problem = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    place = problem["loc"]
    if problem["type"] == "extra_forbidden":
        known = Device.model_fields if len(place) == 1 else Figure.model_fields
        return file.error(place, f"unknown key '{place[-1]}'{nearest(str(place[-1]), known)}")
    if problem["type"] == "missing":
        return file.error(place, f"'{'.'.join(map(str, place))}' is missing")
    return file.error(place, f"{'.'.join(map(str, place))}: {problem['msg']}, found {shown(problem['input'])}")
