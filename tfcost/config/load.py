"""A configuration file, with sizes from the command line put over its own, to a checked `ModelConfig`."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tfcost.config.model import ModelConfig, Training, shown
from tfcost.config.yaml_file import YamlFile, read_yaml
from tfcost.errors import UserError, nearest


def load_config(
    path: Path, overrides: Mapping[str, Any] | None = None, techniques: Collection[str] = ()
) -> ModelConfig:
    """The model in the YAML file `path`. `overrides` replace fields; `techniques` are the known attention techniques.

    UserError, with file and line (or the option that an override came from), for the first thing wrong.
    """
    file = read_yaml(path)
    overrides = overrides or {}
    try:
        return ModelConfig.model_validate(file.data | dict(overrides), context={"techniques": techniques})
    except ValidationError as error:
        raise _user_error(error, file, overrides) from None


def make_config(fields: Mapping[str, Any], techniques: Collection[str] = ()) -> ModelConfig:
    """The model of `fields` that come from the command line. UserError that names the option."""
    try:
        return ModelConfig.model_validate(dict(fields), context={"techniques": techniques})
    except ValidationError as error:
        raise _user_error(error, YamlFile(Path(), {}), fields) from None


def _user_error(error: ValidationError, file: YamlFile, overrides: Mapping[str, Any]) -> UserError:
    """The problem that stands first in the file; what is missing altogether comes last."""
    problems = error.errors(include_url=False)
    problem = min(problems, key=lambda one: (one["type"] == "missing", file.lines.get(_place(one), 0)))
    place, message = _place(problem), _message(problem)
    if place and place[0] in overrides:
        return UserError(f"--{str(place[0]).replace('_', '-')}: {message.removeprefix(f'{place[0]}: ')}")
    return file.error(place, message)


def _place(problem: ErrorDetails) -> tuple[str | int, ...]:
    if problem["type"] == "together":
        return (problem["ctx"]["field"],)
    return problem["loc"]


def _message(problem: ErrorDetails) -> str:
    place, found = problem["loc"], problem["input"]
    name = ".".join(map(str, place))
    match problem["type"]:
        case "together":
            return str(problem["ctx"]["message"])
        case "missing":
            return f"'{name}' is missing"
        case "extra_forbidden":
            known = Training.model_fields if len(place) > 1 else ModelConfig.model_fields
            return f"unknown key '{name}'{nearest(str(place[-1]), known)}"
        case "literal_error":
            choices = problem["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"{name}: no such choice: {shown(found)}{nearest(str(found), choices)}"
        case "count":
            return f"{name}: {problem['msg']}"
        case _:
            expected = problem["msg"].removeprefix("Input should be ")
            return f"{name}: expected {expected}, found {shown(found)}"
