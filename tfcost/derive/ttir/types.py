"""Reads the types of TTIR text: `tensor<128x64xf16>`, `!tt.ptr<f32>`, `!tt.tensordesc<tensor<64x32xf16>>`, `i32`."""

import re

from tfcost.derive.ttir.tree import Type, known_element

_DIMENSIONS = re.compile(r"((?:\d+x)*)(.+)", re.DOTALL)


def parse_type(text: str) -> Type:
    """The type written as `text`. Raises ValueError."""
    text = text.strip()
    inner = _inside(text, "tensor<")
    if inner is not None:
        shape, element = _shape(inner)
        of = parse_type(element)
        if of.shape:
            raise ValueError(f"unknown type '{text}'")
        return Type(of.element, shape, of.kind)
    inner = _inside(text, "!tt.ptr<")
    if inner is not None:
        pointee = parse_type(inner.split(",")[0])
        # What a pointer to pointers points to is an address of 64 bits.
        return Type(pointee.element if pointee.kind == "value" else "i64", pointee.shape, "pointer")
    inner = _inside(text, "!tt.tensordesc<")
    if inner is not None:
        return descriptor_type(inner)
    if known_element(text):
        return Type(text)
    raise ValueError(f"unknown type '{text}'")


def descriptor_type(box: str) -> Type:
    """A descriptor's type from its box: `tensor<64x32xf16>` (Triton 3.6) or `64x32xf16` (Triton 3.9)."""
    inner = _inside(box.strip(), "tensor<")
    shape, element = _shape(inner if inner is not None else box.strip())
    if not known_element(element):
        raise ValueError(f"unknown type '{box}'")
    return Type(element, shape, "descriptor")


def parse_types(text: str) -> list[Type]:
    """The types of a list, with or without parentheses around it."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return [parse_type(part) for part in split_top_level(text, ",")]


def split_top_level(text: str, separator: str) -> list[str]:
    """`text` cut at each `separator` outside of <>, (), [], {} and quotes; empty parts are dropped."""
    parts, depth, start, quoted, index = [], 0, 0, False, 0
    while index < len(text):
        char = text[index]
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "<([{":
            depth += 1
        elif not quoted and char in ">)]}" and text[index - 1 : index + 1] != "->":
            depth -= 1
        elif not quoted and depth == 0 and text.startswith(separator, index):
            parts.append(text[start:index])
            index += len(separator)
            start = index
            continue
        index += 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _inside(text: str, opening: str) -> str | None:
    if text.startswith(opening) and text.endswith(">"):
        return text[len(opening) : -1]
    return None


def _shape(text: str) -> tuple[tuple[int, ...], str]:
    match = _DIMENSIONS.fullmatch(text)
    if match is None:
        raise ValueError(f"unknown type '{text}'")
    return tuple(int(size) for size in match[1].split("x") if size), match[2]
