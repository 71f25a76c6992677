"""Takes the first line of a TTIR operation apart: results, name, operands, keywords, attributes, result types.

Formats differ between operations, but little: operands are the `%names` in order, attributes stand in braces, types
follow the last ` : ` and, where operand and result types differ, `->` or `to`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tfcost.derive.ttir.tree import Type, Value
from tfcost.derive.ttir.types import descriptor_type, parse_types, split_top_level

_RESULTS = re.compile(r"((?:%[\w$.\-]+(?::\d+)?(?:, )?)+) = (.*)", re.DOTALL)
_NAME = re.compile(r'"?([a-z_]\w*(?:\.\w+)+)"?(.*)', re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_VALUE = re.compile(r"%[\w$.\-]+(?:#\d+)?")
_WORD = re.compile(r"[A-Za-z_][\w.$]*")
_CALLEE = re.compile(r'@(?:"([^"]*)"|([\w.$\-]+))')
# Results shaped like the first operand, but boolean; results of the last type listed; results of the first.
_COMPARISONS = ("arith.cmpi", "arith.cmpf")


@dataclass(frozen=True, slots=True)
class Header:
    """`results` are (name, count) pairs; `operands` and `groups` (those in brackets) are names."""

    results: tuple[tuple[str, int], ...]
    name: str
    operands: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    attributes: dict[str, str]
    types: str
    rest: str


def read_header(text: str) -> Header:
    """The parts of an operation's line. Raises ValueError."""
    results, text = _read_results(text)
    match = _NAME.match(text)
    if match is None:
        raise ValueError("not an operation")
    name, rest = match[1], match[2].strip()
    parts = split_top_level(_STRING.sub(lambda m: '""', rest), " : ")
    before, types = (" : ".join(parts[:-1]), parts[-1]) if len(parts) > 1 else (rest, "")
    bare, attributes = _take_attributes(before)
    bare = _STRING.sub("", bare)
    operands = tuple(_VALUE.findall(bare))
    groups = tuple(tuple(_VALUE.findall(group)) for group in re.findall(r"\[([^\]]*)\]", bare))
    words = tuple(_WORD.findall(_VALUE.sub(" ", bare)))
    if name == "arith.constant":
        attributes["value"] = bare.strip()
    if (callee := _CALLEE.match(rest)) is not None:
        attributes["callee"] = callee[1] or callee[2]
    return Header(results, name, operands, groups, words, attributes, types, rest)


def _read_results(text: str) -> tuple[tuple[tuple[str, int], ...], str]:
    match = _RESULTS.match(text)
    if match is None:
        return (), text
    results = []
    for part in match[1].split(", "):
        name, _, count = part.partition(":")
        results.append((name, int(count or 1)))
    return tuple(results), match[2]


def _take_attributes(text: str) -> tuple[str, dict[str, str]]:
    """(text without its {...} parts, their entries)."""
    attributes: dict[str, str] = {}
    kept, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char == "{":
            if depth == 0:
                kept.append(text[start:index])
                start = index + 1
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                attributes.update(read_attributes(text[start:index]))
                start = index + 1
    kept.append(text[start:])
    return " ".join(kept), attributes


def read_attributes(text: str) -> dict[str, str]:
    """`axis = 1 : i32, reverse = false` as a dict of texts; an entry without a value maps to ""."""
    entries = (part.partition(" = ") for part in split_top_level(text, ","))
    return {name.strip(): value.strip() for name, _, value in entries}


def result_types(header: Header, operands: Sequence[Value]) -> list[Type]:
    """The types of an operation's results. Raises ValueError."""
    count = sum(number for _, number in header.results)
    if count == 0:
        return []
    name, types = header.name, header.types
    if name == "arith.constant" and not types:
        return [Type("i1")]
    if name == "tt.make_tensor_descriptor":
        # `: <f16>, <tensor<64x32xf16>>` leaves out the types' own names.
        return [descriptor_type(split_top_level(types, ",")[-1][1:-1])]
    arrow = split_top_level(types, " -> ")
    if len(arrow) == 2:
        found = parse_types(arrow[1])
        return found * count if len(found) == 1 else found
    cast = split_top_level(types, " to ")
    if len(cast) == 2:
        return parse_types(cast[1])
    listed = parse_types(types)
    if name in _COMPARISONS:
        return [Type("i1", listed[0].shape)]
    if name in ("tt.load", "tt.atomic_load"):
        return [Type(listed[0].element, listed[0].shape)]
    if name == "arith.select":
        return [listed[-1]]
    return [listed[0]] * count
