"""`tfcost.yaml`: the targets whose cost is checked, found from a folder upwards and read into checked models.

A target is a technique of tfcost or a function of the user's, with how it is called and what it must cost.
"""

import re
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from tfcost.check.contract import Contract, parse_contract
from tfcost.config.fields import Count, Name, shown
from tfcost.config.problems import first_problem, message_of, place_of
from tfcost.config.yaml_file import Path_, YamlFile, read_yaml
from tfcost.errors import UserError, nearest
from tfcost.numbers import parse_count
from tfcost.quantities import QUANTITIES

FILE_NAMES = ("tfcost.yaml", ".tfcost.yaml")
_MOST_NODES = 20_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)


def _problem(message: str) -> PydanticCustomError:
    return PydanticCustomError("count", "{message}", {"message": message})


def _contract(value: Any) -> Any:
    """A line of a contract: text, or the one-key mapping that YAML makes of `time: n**2*d`."""
    if isinstance(value, Contract):
        return value
    if isinstance(value, dict) and len(value) == 1:
        ((name, formula),) = value.items()
        value = f"{name}: {formula}"
    if not isinstance(value, str):
        raise _problem(
            f"expected a line such as 'time: n**2*d' or 'peak_bytes <= 2 GiB at n=16k', found {shown(value)}"
        )
    try:
        return parse_contract(value)
    except UserError as error:
        raise _problem(str(error)) from error


def _sizes(value: Any) -> Any:
    if not isinstance(value, dict):
        raise _problem(f"expected sizes by name, found {shown(value)}")
    try:
        return {name: parse_count(str(size), name) for name, size in value.items()}
    except UserError as error:
        raise _problem(str(error)) from error


def _share(value: Any) -> Any:
    """A tolerance: 0.02 or 2 %, as an exact fraction."""
    text = str(value).strip()
    try:
        share = Fraction(text.rstrip("% ")) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        raise _problem(f"expected a share such as 2% or 0.02, found {shown(value)}") from None
    if not 0 <= share < 1:
        raise _problem(f"a tolerance is at least 0 and less than 1, not {text}")
    return share


Scalar = StrictBool | str | None
ContractLine = Annotated[Contract, BeforeValidator(_contract)]
Sizes = Annotated[dict[str, int], BeforeValidator(_sizes)]
Tolerances = dict[str, Annotated[Fraction, BeforeValidator(_share)]]
_ONLY_TECHNIQUE = ("scope", "options", "d_h")
_ONLY_FUNCTION = ("dims", "shapes", "args", "init")


class TargetConfig(BaseModel):
    """One target: what it is, how it is called, what is derived of it, and what that must be."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    technique: Name | None = Field(None, description="a technique; 'tfcost techniques' lists them")
    function: Name | None = Field(None, description="path.py:function or module:function, or a torch module")
    scope: Name | None = Field(None, description="core, layer or block")
    options: dict[str, StrictBool | str] = Field(default_factory=dict, description="options of the technique")
    d_h: Count | None = Field(None, description="head width, for techniques derived per width")
    dims: list[str] = Field(default_factory=list, description="sizes that stay symbols, and others: n, d_h=64")
    shapes: dict[str, str] = Field(default_factory=dict, description="shape per argument: q: b,h,n,d_h")
    args: dict[str, Scalar] = Field(default_factory=dict, description="other arguments, by name")
    init: dict[str, Scalar] | None = Field(None, description="arguments that make the module out of its class")
    reference: Name | None = Field(None, description="a function that a kernel must agree with before an update")
    reference_sizes: Sizes = Field(default_factory=dict, description="sizes at which it must; small ones unless said")
    passes: list[Literal["forward", "backward", "decode"]] = Field(["forward"], min_length=1)
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    sizes: Sizes = Field(default_factory=dict, description="sizes at which values are told and compared")
    regime: list[str] = Field(default_factory=list, description="what holds between sizes: n >= d")
    contract: list[ContractLine] = Field(default_factory=list)
    tolerance: Tolerances = Field(default_factory=dict, description="per quantity, how far it may move: 2%")
    time_limit: Count | None = Field(None, description="seconds that the derivation may take")

    @model_validator(mode="after")
    def _kind(self) -> Self:
        if (self.technique is None) == (self.function is None):
            raise _together("technique", "a target has either 'technique' or 'function'")
        kind, others = ("technique", _ONLY_FUNCTION) if self.technique else ("function", _ONLY_TECHNIQUE)
        for name in others:
            if name in self.model_fields_set:
                raise _together(name, f"'{name}' does not go with '{kind}'")
        for name in self.tolerance:
            if name not in QUANTITIES:
                raise _together("tolerance", f"no quantity is called '{name}'{nearest(name, QUANTITIES)}")
        return self


class CheckConfig(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="tfcost check")

    targets: dict[str, TargetConfig]
    tolerance: Tolerances = Field(default_factory=dict, description="for targets that do not say otherwise")
    time_limit: Count = Field(120, description="seconds that the derivation of one target may take")

    @model_validator(mode="after")
    def _names(self) -> Self:
        if not self.targets:
            raise _together("targets", "no target is given")
        for name in self.targets:
            if not _NAME.fullmatch(name):
                raise _together("targets", f"'{name[:60]}' is no name for a target (letters, digits, '_', '.', '-')")
        return self


def _together(field: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("together", "{message}", {"message": message, "field": field})


def find_config(start: Path) -> Path:
    """The nearest tfcost.yaml or .tfcost.yaml in `start` or above. UserError if there is none, or two in a folder."""
    for folder in (start, *start.parents):
        found = [folder / name for name in FILE_NAMES if (folder / name).is_file()]
        if len(found) > 1:
            raise UserError(f"{folder}: both {' and '.join(FILE_NAMES)} are there; keep one")
        if found:
            return found[0]
    raise UserError(f"no {FILE_NAMES[0]} in {start} or above; write one, or name it with --config FILE")


def lock_path(config: Path) -> Path:
    """The lock file that belongs to a configuration: beside it, tfcost.lock for tfcost.yaml."""
    return config.with_suffix(".lock")


def load_check(path: Path) -> tuple[CheckConfig, YamlFile]:
    """The checked configuration in the YAML file `path`, and the file, which knows the lines of its keys.

    UserError, with file and line, for the first thing wrong; under a contract, with a caret.
    """
    file = read_yaml(path, _MOST_NODES)
    try:
        return CheckConfig.model_validate(file.data), file
    except ValidationError as error:
        problem = first_problem(error, file)
        raise file.error(place_of(problem), _said(problem["loc"], message_of(problem, _known_keys))) from None


def _said(place: Path_, message: str) -> str:
    """`message` with the target named first, and no path of keys before a message that stands for itself."""
    inner = ".".join(map(str, place))
    if place[:1] == ("targets",) and len(place) > 1:
        message = message.removeprefix(f"{inner}: contract") if "contract" in place else message
        message = message.replace(inner, ".".join(map(str, place[2:])) or str(place[1]), 1)
        return f"target '{place[1]}': {'contract' if message.startswith(',') else ''}{message}"
    return message


def _known_keys(place: Path_) -> Collection[str]:
    return TargetConfig.model_fields if place[0] == "targets" else CheckConfig.model_fields
