"""Reads the `loc(...)` marks of TTIR text: which line of which source file an operation comes from.

A mark is a file position, a name around another mark, a call site ("callee at caller") or a fusion of several.
Calls into Triton's own library (`tl.max`, `tl.cdiv`) are attributed to the line of the kernel that makes them.
"""

import re

from tfcost.derive.ttir.tree import Location
from tfcost.derive.ttir.types import split_top_level

_DEFINITION = re.compile(r"(#loc\d*) = loc\((.*)\)")
_FILE = re.compile(r'"((?:[^"\\]|\\.)*)":(\d+):\d+(?: to .*)?')
_NAMED = re.compile(r'"(?:[^"\\]|\\.)*"(?:\((.*)\))?')
_LIBRARY = ("/triton/language/", "/triton/runtime/")


def split_location(line: str) -> tuple[str, str]:
    """(line without its trailing `loc(...)`, what the parentheses hold); "" if there is none."""
    text = line.rstrip()
    start = text.rfind(" loc(")
    while start >= 0:
        if _closes_at_end(text, start + 5):
            return text[:start].rstrip(), text[start + 5 : -1]
        start = text.rfind(" loc(", 0, start)
    return text, ""


def _closes_at_end(text: str, start: int) -> bool:
    depth, quoted = 1, False
    for index in range(start, len(text)):
        char = text[index]
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "()":
            depth += 1 if char == "(" else -1
            if depth == 0:
                return index == len(text) - 1
    return False


class Locations:
    """The location table of one TTIR text."""

    def __init__(self, lines: list[str]) -> None:
        matches = (_DEFINITION.fullmatch(line.strip()) for line in lines if line.startswith("#loc"))
        self._marks = {match[1]: match[2] for match in matches if match}
        self._resolved: dict[str, tuple[Location, ...]] = {}

    def find(self, mark: str) -> Location:
        """The kernel line a mark stands for: the innermost one outside of Triton's library."""
        frames = self._frames(mark)
        own = [frame for frame in frames if not any(part in frame.path.replace("\\", "/") for part in _LIBRARY)]
        return own[0] if own else frames[0] if frames else Location()

    def _frames(self, mark: str) -> tuple[Location, ...]:
        """All known positions behind a mark, innermost first."""
        if mark not in self._resolved:
            self._resolved[mark] = self._read(mark.strip())
        return self._resolved[mark]

    def _read(self, mark: str) -> tuple[Location, ...]:
        if mark.startswith("#loc"):
            return self._frames(self._marks[mark]) if mark in self._marks else ()
        if match := _FILE.fullmatch(mark):
            return (Location(match[1], int(match[2])),)
        if mark.startswith("callsite("):
            return tuple(frame for part in split_top_level(mark[9:-1], " at ") for frame in self._frames(part))
        if mark.startswith("fused"):
            inner = mark[mark.index("[") + 1 : mark.rindex("]")]
            return tuple(frame for part in split_top_level(inner, ",") for frame in self._frames(part))
        match = _NAMED.fullmatch(mark)
        return self._frames(match[1]) if match and match[1] else ()
