"""JSON file to plain data with the line of every key. Duplicate keys, NaN, deep or huge files are refused.

The walk over objects and arrays is written out because the standard library keeps no lines; strings are its own work.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, NoReturn

from tfcost.config.yaml_file import Path_, YamlFile, printable, read_text
from tfcost.errors import UserError

MOST_VALUES = 20_000
_MAX_DEPTH = 8
_LONGEST_NUMBER = 40

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z0-9_.+-]+")
_WORDS = {"true": True, "false": False, "null": None}


def read_json(path: Path) -> YamlFile:
    """The object in the JSON file `path`, numbers int or float. UserError, with file and line, for anything else."""
    return _Reader(path, read_text(path)).file()


class _Reader:
    """A place in a text, and what was read before it."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.at, self.values = path, text, 0, 0
        self.found = YamlFile(path, {})

    def file(self) -> YamlFile:
        self._skip()
        if self.at == len(self.text):
            self._fail("the file is empty")
        if self.text[self.at] != "{":
            self._fail('expected a JSON object, {"key": value}')
        self.found.data.update(self._object(()))
        self._skip()
        if self.at < len(self.text):
            self._fail("expected the end of the file")
        return self.found

    def _value(self, path: Path_) -> Any:
        self.values += 1
        if len(path) > _MAX_DEPTH or self.values > MOST_VALUES:
            self._fail("too deep or too long a file")
        match self._peek():
            case "{":
                return self._object(path)
            case "[":
                return self._array(path)
            case '"':
                return self._string()
            case _:
                return self._scalar()

    def _object(self, path: Path_) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.at += 1
        while self._more("}", first=not found):
            if self._peek() != '"':
                self._fail('expected a key in double quotes or "}"')
            line = self._line()
            key = self._string()
            if key in found:
                self._fail(f"duplicate key '{key[:40]}', first on line {self.found.lines[*path, key]}", line)
            self.found.lines[*path, key] = line
            self._skip()
            if self._peek() != ":":
                self._fail("expected ':' after the key")
            self.at += 1
            self._skip()
            found[key] = self._value((*path, key))
        return found

    def _array(self, path: Path_) -> list[Any]:
        found: list[Any] = []
        self.at += 1
        while self._more("]", first=not found):
            self.found.lines[*path, len(found)] = self._line()
            found.append(self._value((*path, len(found))))
        return found

    def _more(self, end: str, first: bool) -> bool:
        """Whether another element begins here; steps over the comma before it, or over `end`."""
        self._skip()
        if self._peek() == end:
            self.at += 1
            return False
        if first:
            return True
        if self._peek() != ",":
            self._fail(f"expected ',' or '{end}'")
        self.at += 1
        self._skip()
        if self._peek() == end:
            self._fail(f"a comma before '{end}'")
        return True

    def _string(self) -> str:
        try:
            text, self.at = scanstring(self.text, self.at + 1, True)
        except json.JSONDecodeError as error:
            self.at = min(error.pos, len(self.text))
            self._fail(error.msg[0].lower() + error.msg[1:])
        return str(text)

    def _scalar(self) -> int | float | bool | None:
        found = _WORD.match(self.text, self.at)
        word = found.group() if found else ""
        if word in _WORDS:
            self.at += len(word)
            return _WORDS[word]
        number = _NUMBER.fullmatch(word)
        if number is None or len(word) > _LONGEST_NUMBER:
            self._fail(f"expected a value, found '{(word or self.text[self.at])[:40]}'")
        value: int | float = float(word) if number.group(1) or number.group(2) else int(word)
        if value in (float("inf"), float("-inf")):
            self._fail(f"'{word}' is too large a number")
        self.at += len(word)
        return value

    def _skip(self) -> None:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at

    def _peek(self) -> str:
        if self.at >= len(self.text):
            self._fail("the file ends in the middle of a value")
        return self.text[self.at]

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _fail(self, message: str, line: int | None = None) -> NoReturn:
        raise UserError(f"{self.path}:{line or self._line()}: {printable(message)}")
