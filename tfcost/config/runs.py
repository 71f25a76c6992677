"""The layers of a model in order: a configuration in; runs of a repeated pattern, every layer complete, out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tfcost.config.fields import problem
from tfcost.config.layer import LayerChange, LayerFields

if TYPE_CHECKING:
    from tfcost.config.model import LayerRun, ModelConfig


@dataclass(frozen=True, slots=True)
class Run:
    """`pattern`, complete layers in order, `count` times in a row."""

    count: int
    pattern: tuple[LayerFields, ...]


def layers_of(config: "ModelConfig", context: Mapping[str, Any] | None = None) -> list[Run]:
    """The layers of the model, or of the decoder where there is an encoder; `context` is what validation is given.

    Raises the complaint, a PydanticCustomError at `layers`, about a layer whose fields do not fit together.
    """
    return _runs(_fields(config), config.layers, config.L, context)


def encoder_layers_of(config: "ModelConfig", context: Mapping[str, Any] | None = None) -> list[Run]:
    """The layers of the encoder, none without one. Raises as `layers_of`."""
    if config.encoder is None:
        return []
    fields = changed({**_fields(config), "causal": False}, config.encoder)
    return _runs(fields, config.encoder.layers, config.encoder.L, context)


def changed(fields: dict[str, Any], change: LayerChange) -> dict[str, Any]:
    """`fields` of a layer with `change` put over them; another attention does not keep the options."""
    given = change.given
    other = given.get("attention", fields["attention"]) != fields["attention"]
    return fields | ({"attention_options": {}} if other else {}) | given


def _fields(config: "ModelConfig") -> dict[str, Any]:
    return {name: getattr(config, name) for name in LayerFields.model_fields}


def _runs(
    fields: dict[str, Any], runs: "list[LayerRun] | None", depth: int, context: Mapping[str, Any] | None
) -> list[Run]:
    if runs is None:
        return [Run(depth, (_layer(fields, "", context),))]
    return [
        Run(run.count, tuple(_layer(changed(fields, change), f"run {i}, layer {j}: ", context)
                             for j, change in enumerate(run.pattern, start=1)))
        for i, run in enumerate(runs, start=1)
    ]  # fmt: skip


def _layer(fields: dict[str, Any], place: str, context: Mapping[str, Any] | None) -> LayerFields:
    try:
        return LayerFields.model_validate(fields, context=dict(context or {}))
    except ValidationError as error:
        raise problem("layers", f"{place}{error.errors(include_url=False)[0]['msg']}") from None
