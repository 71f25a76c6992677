"""`Family`: how one `model_type` is read; `Values`: what a file says, transformers' defaults where it says nothing."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfcost.config.hf.kinds import KINDS, Kind, WrongValue, choice, optional
from tfcost.config.hf.without_cost import WITHOUT_COST
from tfcost.config.yaml_file import YamlFile
from tfcost.errors import UserError, nearest

TRANSFORMERS = "5.24.0"
"""The version of transformers whose defaults the families have."""

REQUIRED = object()
"""In place of a default: transformers has none that a cost could be told from."""

_ALSO = {"torch_dtype": "dtype"}
_ALWAYS_CHECKED = (
    "add_cross_attention", "chunk_size_feed_forward", "dtype", "is_decoder", "is_encoder_decoder", "output_attentions",
    "output_hidden_states", "pruned_heads", "quantization_config",
)  # fmt: skip


@dataclass(slots=True)
class Values:
    """The checked values of a file, by their names in it; `taken` are the defaults among them, `notes` for the reader
    of the report.
    """

    file: YamlFile
    values: dict[str, Any]
    taken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str) -> Any:
        """The value of a field that has no default, None if the file does not have it."""
        return self.values.get(name)

    def wrong(self, name: str, message: str) -> UserError:
        """The error `message` at the line of the field `name`."""
        return self.file.error((name,), message)

    def refuse_unless_divisible(self, whole: str, part: str) -> None:
        """UserError if the value of `whole` is no multiple of that of `part`."""
        if self[whole] % self[part]:
            place = part if (part,) in self.file.lines else whole
            raise self.wrong(place, f"{whole} = {self[whole]} is not divisible by {part} = {self[part]}")


@dataclass(frozen=True, slots=True)
class Family:
    """One `model_type`: the fields that change the cost, and how they become fields of a `ModelConfig`.

    `defaults`: those fields with transformers' defaults. `checked`: further ones that may be absent. `kinds`: where a
    field may hold other values than in other families. `also`: other names of a field. `architectures`: what the
    file may say is built, with or without a language model head. `without_cost`: fields of this family alone.
    """

    model_type: str
    defaults: Mapping[str, Any]
    build: Callable[[Values], dict[str, Any]]
    architectures: tuple[str, ...]
    checked: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    without_cost: frozenset[str] = frozenset()

    def read(self, file: YamlFile) -> Values:
        """The values in `file`. UserError for a field that is unknown, or whose value is none of its kind."""
        kinds = {name: self.kinds.get(name) or KINDS[name] for name in self._known()}
        kinds["architectures"] = _architectures(self.architectures)
        found = Values(file, {})
        for name, value in file.data.items():
            own = (_ALSO | dict(self.also)).get(name, name)
            if own in kinds:
                _put(found, own, name, kinds[own], value)
            elif name not in WITHOUT_COST and name not in self.without_cost and name != "model_type":
                raise self._unknown(file, name, kinds)
        for name, default in self.defaults.items():
            if name in found.values:
                continue
            if default is REQUIRED:
                raise found.wrong("model_type", f"'{name}' is missing, and transformers has no default for it")
            found.values[name] = default
            found.taken.append(f"{name} = {_shown(default)}")
        return found

    @property
    def names_known(self) -> set[str]:
        """Every field that a file may have."""
        return {*self._known(), *self.also, *_ALSO, *WITHOUT_COST, *self.without_cost}

    def _known(self) -> Collection[str]:
        return {*self.defaults, *self.checked, *_ALWAYS_CHECKED}

    def _unknown(self, file: YamlFile, name: str, known: Collection[str]) -> UserError:
        near = nearest(name, known).partition("; known:")[0]
        return file.error((name,), f"'{name[:60]}' is not understood for model_type {self.model_type}{near}")


def _architectures(known: tuple[str, ...]) -> Kind:
    one = choice(*known)

    def check(value: Any) -> str | None:
        if value is None or value == []:
            return None
        if not isinstance(value, list) or len(value) != 1:
            raise WrongValue("expected a list of one class")
        return str(one(value[0]))

    return optional(check)


def _put(found: Values, name: str, written: str, kind: Kind, value: Any) -> None:
    """Puts a checked value in its place. UserError if it is wrong, or contradicts another name's value."""
    try:
        checked = kind(value)
    except WrongValue as error:
        raise found.wrong(written, f"{written}: {error}") from None
    if name in found.values and found.values[name] != checked:
        raise found.wrong(written, f"{written} = {_shown(value)} contradicts {name} = {_shown(found.values[name])}")
    found.values[name] = checked
    found.file.lines.setdefault((name,), found.file.lines.get((written,), 1))


def _shown(value: Any) -> str:
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if not isinstance(value, list) else "..."
