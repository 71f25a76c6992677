"""YAML file to plain data with the line of every key. Tags, aliases, duplicate keys and huge files are refused.

Numbers stay text: the model's fields read them (`16k`, `1e4`), exactly.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tfcost.errors import UserError
from tfcost.files import read_limited

MAX_BYTES = 1_000_000
_MAX_DEPTH = 8
MOST_NODES = 1000

_STANDARD = "tag:yaml.org,2002:"
_TEXT = {f"{_STANDARD}{kind}" for kind in ("str", "int", "float", "timestamp")}

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The data of a file and, per path of keys and list places (("training", "optimizer")), the line it stands on."""

    path: Path
    data: dict[str, Any]
    lines: dict[Path_, int] = field(default_factory=dict)

    def error(self, path: Path_, message: str) -> UserError:
        """A UserError at the line of the longest known beginning of `path`."""
        while path and path not in self.lines:
            path = path[:-1]
        return UserError(f"{self.path}:{self.lines.get(path, 1)}: {printable(message)}")


def printable(text: str) -> str:
    """`text` with what would move a terminal's cursor, or worse, as an escape sequence of Python's; new lines stay."""
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)


def read_yaml(path: Path, most_nodes: int = MOST_NODES) -> YamlFile:
    """The mapping in the YAML file `path`, of at most `most_nodes` keys and values. UserError, with file and line, for
    anything else.
    """
    loader = _Loader(read_text(path))
    loader.most_nodes = most_nodes
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UserError(f"{path}:{mark.line + 1 if mark else 1}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {str(error).splitlines()[0]}") from error
    if node is None:
        raise UserError(f"{path}:1: the file is empty")
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{path}:{node.start_mark.line + 1}: expected 'key: value' lines")
    file = YamlFile(path, {})
    file.data.update(_mapping(node, (), file))
    return file


def read_text(path: Path) -> str:
    """The text of a configuration file. UserError if it is too large, or no text."""
    content = read_limited(path, MAX_BYTES, f"larger than {MAX_BYTES // 1000} kB; a configuration is a few lines")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not a text file (byte {error.start} is not UTF-8)") from error
    bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise UserError(f"{path}:{line}: not a text file (control character {bad.group()!r})")
    return text


class _Loader(yaml.SafeLoader):
    """Composes nodes only; nothing is ever constructed from a tag."""

    depth = 0
    nodes = 0
    most_nodes = MOST_NODES

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        self.nodes += 1
        if self.depth >= _MAX_DEPTH or self.nodes > self.most_nodes:
            raise yaml.MarkedYAMLError(problem="too deep or too long a file", problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _mapping(node: yaml.MappingNode, path: Path_, file: YamlFile) -> dict[str, Any]:
    found: dict[str, Any] = {}
    _check_tag(node, "map", file)
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag not in _TEXT:
            raise UserError(f"{file.path}:{line}: a key must be a plain word")
        if key.value in found:
            first = file.lines[*path, key.value]
            raise UserError(f"{file.path}:{line}: duplicate key '{key.value}', first on line {first}")
        file.lines[*path, key.value] = line
        found[key.value] = _value(value, (*path, key.value), file)
    return found


def _value(node: yaml.Node, path: Path_, file: YamlFile) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, file)
    if isinstance(node, yaml.SequenceNode):
        _check_tag(node, "seq", file)
        for index, element in enumerate(node.value):
            file.lines[*path, index] = element.start_mark.line + 1
        return [_value(element, (*path, index), file) for index, element in enumerate(node.value)]
    if node.tag == f"{_STANDARD}null":
        return None
    if node.tag == f"{_STANDARD}bool" and node.value.lower() in yaml.SafeLoader.bool_values:
        return yaml.SafeLoader.bool_values[node.value.lower()]
    if node.tag not in _TEXT:
        raise _tag_error(node, file)
    return node.value


def _check_tag(node: yaml.Node, kind: str, file: YamlFile) -> None:
    if node.tag != f"{_STANDARD}{kind}":
        raise _tag_error(node, file)


def _tag_error(node: yaml.Node, file: YamlFile) -> UserError:
    tag = node.tag.replace(_STANDARD, "!!")
    return UserError(f"{file.path}:{node.start_mark.line + 1}: the tag {tag} is not allowed")
