"""A configuration file, with sizes from the command line put over its own, to a checked `ModelConfig`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tfcost.config.hf.read import read_model
from tfcost.config.layer import Experts, Latent, LayerChange
from tfcost.config.model import Encoder, LayerRun, ModelConfig, Training
from tfcost.config.parallelism import Parallelism
from tfcost.config.problems import first_problem, message_of, place_of
from tfcost.config.yaml_file import Path_, YamlFile, read_yaml
from tfcost.errors import UserError


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model, and what to tell about how its file was read: defaults taken, what is left out."""

    config: ModelConfig
    notes: tuple[str, ...]


def load_config(
    path: Path, overrides: Mapping[str, Any] | None = None, techniques: Collection[str] = ()
) -> ModelConfig:
    """The model that `load_model` finds, without its notes. UserError as there."""
    return load_model(path, overrides, techniques).config


def load_model(path: Path, overrides: Mapping[str, Any] | None = None, techniques: Collection[str] = ()) -> Loaded:
    """The model in the YAML file `path`, or in Hugging Face's config.json where its name ends so.

    `overrides` replace fields; `techniques` are the known attention techniques. UserError, with file and line (or the
    option that an override came from), for the first thing wrong.
    """
    file, notes = _read(path)
    overrides = overrides or {}
    try:
        config = ModelConfig.model_validate(file.data | dict(overrides), context={"techniques": techniques})
    except ValidationError as error:
        raise _user_error(error, file, overrides) from None
    return Loaded(config, notes)


def _read(path: Path) -> tuple[YamlFile, tuple[str, ...]]:
    if path.suffix.lower() != ".json":
        return read_yaml(path), ()
    model = read_model(path)
    return model.fields, model.notes


def make_config(fields: Mapping[str, Any], techniques: Collection[str] = ()) -> ModelConfig:
    """The model of `fields` that come from the command line. UserError that names the option."""
    try:
        return ModelConfig.model_validate(dict(fields), context={"techniques": techniques})
    except ValidationError as error:
        raise _user_error(error, YamlFile(Path(), {}), fields) from None


def _user_error(error: ValidationError, file: YamlFile, overrides: Mapping[str, Any]) -> UserError:
    problem = first_problem(error, file)
    place, message = place_of(problem), message_of(problem, _known_keys)
    if place and place[0] in overrides:
        return UserError(f"--{str(place[0]).replace('_', '-')}: {message.removeprefix(f'{place[0]}: ')}")
    return file.error(place, message)


_INSIDE: Mapping[str | int, type[BaseModel]] = {
    "training": Training, "moe": Experts, "mla": Latent, "encoder": Encoder, "layers": LayerRun, "pattern": LayerChange,
    "parallelism": Parallelism,
}  # fmt: skip


def _known_keys(place: Path_) -> Collection[str]:
    around = [_INSIDE[key] for key in place[:-1] if key in _INSIDE]
    return (around[-1] if around else ModelConfig).model_fields
