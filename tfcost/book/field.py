"""A parsed JSON value together with its place, so that every complaint about a book file names file and key."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tfcost.book.lazy import Lazy
from tfcost.errors import UserError
from tfcost.formula import Formula, FormulaError

T = TypeVar("T")


def _parsed(content: bytes) -> Any:
    """The JSON value. Pydantic's parser is half as fast again; without it, on a machine that only measures, json's."""
    try:
        from pydantic_core import from_json
    except ImportError:
        return json.loads(content)
    return from_json(content)


class Field:
    """One JSON value of a book file. The readers raise UserError ("flash.json: costs[2].scope: ...")."""

    __slots__ = ("path", "place", "value")

    def __init__(self, value: Any, path: Path, place: str = "") -> None:
        self.value = value
        self.path = path
        self.place = place

    @classmethod
    def of_file(cls, path: Path) -> "Field":
        """The whole content of the JSON file `path`."""
        try:
            return cls(_parsed(path.read_bytes()), path)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: not JSON: {error}") from error

    def error(self, message: str) -> UserError:
        """A UserError about this value."""
        return UserError(f"{self.path}: {self.place}: {message}" if self.place else f"{self.path}: {message}")

    def _expect(self, kind: type | tuple[type, ...], name: str) -> Any:
        if not isinstance(self.value, kind):
            raise self.error(f"expected {name}, found {json.dumps(self.value)[:60]}")
        return self.value

    def at(self, key: str) -> "Field":
        """The value under `key` of an object; an error if it is missing."""
        content = self._expect(dict, "an object")
        if key not in content:
            raise self.error(f"'{key}' is missing")
        return Field(content[key], self.path, f"{self.place}.{key}" if self.place else key)

    def get(self, key: str, default: Any) -> "Field":
        """The value under `key`, or `default` where the key is missing."""
        return self.at(key) if key in self._expect(dict, "an object") else Field(default, self.path, key)

    def items(self) -> Iterator[tuple[str, "Field"]]:
        """Keys and values of an object."""
        for key in self._expect(dict, "an object"):
            yield key, self.at(key)

    def lazily(self, make: "Callable[[Field], T]") -> Lazy[T]:
        """The elements of a list, each turned into something by `make` when it is first looked at."""
        values = self._expect(list, "a list")
        return Lazy(len(values), lambda index: make(Field(values[index], self.path, f"{self.place}[{index}]")))

    def item(self, index: int) -> "Field":
        """The element of a list at `index`."""
        values = self._expect(list, "a list")
        if not 0 <= index < len(values):
            raise self.error(f"there is no element {index}; there are {len(values)}")
        return Field(values[index], self.path, f"{self.place}[{index}]")

    def elements(self) -> Iterator["Field"]:
        """The elements of a list."""
        for index, value in enumerate(self._expect(list, "a list")):
            yield Field(value, self.path, f"{self.place}[{index}]")

    def text(self) -> str:
        """A string."""
        return str(self._expect(str, "text"))

    def texts(self) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(element.text() for element in self.elements())

    def integer(self) -> int:
        """A whole number; true and false are none."""
        if isinstance(self.value, bool):
            raise self.error("expected a whole number, found true or false")
        return int(self._expect(int, "a whole number"))

    def choice(self) -> bool | int | str:
        """The value of an option: text, a whole number, true or false."""
        value: bool | int | str = self._expect((bool, int, str), "text, a whole number, true or false")
        return value

    def formula(self) -> Formula:
        """A formula; it is parsed when it is first used."""
        return Formula.deferred(self.text())

    def checked_formula(self) -> Formula:
        """A formula, parsed now; an error that names the place if it is none."""
        try:
            return Formula(self.text())
        except FormulaError as error:
            raise self.error(str(error)) from error
