"""Devices: a name of the table (or a YAML file of the same form) in, the ceilings for predictions out."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tfcost.config.yaml_file import YamlFile, read_yaml
from tfcost.errors import UserError, nearest

DEFAULT_DEVICE = "h100-sxm"
"""The device that times are predicted for where none is named."""


class Figure(BaseModel):
    """One number and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: float = Field(gt=0, allow_inf_nan=False)
    source: str = Field(min_length=1)


class Device(BaseModel):
    """What a device can do at best: FLOP/s, B/s, bytes and seconds.

    `matmul_flops` is the dense peak per dtype ("bfloat16", "tf32", ...), `scalar_flops` the fp32 peak outside the
    matrix units, `sram_bytes` the shared memory of one multiprocessor, `launch_seconds` the time from one kernel to
    the next.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(min_length=1)
    label: str = Field(min_length=1)
    matmul_flops: dict[str, Figure] = Field(min_length=1)
    scalar_flops: Figure
    bandwidth: Figure
    memory_bytes: Figure
    l2_bytes: Figure
    multiprocessors: Figure
    sram_bytes: Figure
    launch_seconds: Figure

    def matmul_peak(self, dtype: str) -> float:
        """FLOP/s of matrix products in `dtype`. UserError if the device has no figure for it."""
        if dtype not in self.matmul_flops:
            raise UserError(f"{self.label} has no peak for {dtype}{nearest(dtype, self.matmul_flops)}")
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
        return Device.model_validate(file.data)
    except ValidationError as error:
        raise _user_error(error, file) from None


def _folder() -> Path:
    return Path(str(files("tfcost.devices")))


def _user_error(error: ValidationError, file: YamlFile) -> UserError:
    """A misspelt key first: it is why another one is missing."""
    problem = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    place = problem["loc"]
    if problem["type"] == "extra_forbidden" and len(place) == 1:
        return file.error(place, f"unknown key '{place[0]}'{nearest(str(place[0]), Device.model_fields)}")
    return file.error(place, f"{'.'.join(map(str, place))}: {problem['msg']}")
