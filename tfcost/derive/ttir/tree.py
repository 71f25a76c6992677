"""The tree a TTIR text is parsed into: functions, regions, blocks, operations and the values between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

_BITS = {
    "f64": 64, "i64": 64, "ui64": 64, "si64": 64, "index": 64,
    "f32": 32, "tf32": 32, "i32": 32, "ui32": 32, "si32": 32,
    "f16": 16, "bf16": 16, "i16": 16, "ui16": 16, "si16": 16,
    "f8E5M2": 8, "f8E4M3FN": 8, "f8E4M3FNUZ": 8, "f8E5M2FNUZ": 8, "f8E4M3B11FNUZ": 8,
    "i8": 8, "ui8": 8, "si8": 8, "i1": 8,  # a boolean takes a byte in memory
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """A TTIR type: `element` (f16, i32, ...) and `shape` (() is a scalar) of values, pointers or a descriptor's box.

    `tensor<64x!tt.ptr<f16>>` is Type("f16", (64,), kind="pointer").
    """

    element: str
    shape: tuple[int, ...] = ()
    kind: str = "value"

    @property
    def elements(self) -> int:
        """How many elements there are (1 for a scalar)."""
        return prod(self.shape)

    @property
    def element_bytes(self) -> int:
        """Bytes of one element (of what is pointed to, for pointers)."""
        return _BITS[self.element] // 8

    @property
    def is_float(self) -> bool:
        """Floating-point numbers."""
        return self.kind == "value" and self.element.startswith(("f", "bf", "tf"))

    @property
    def is_boolean(self) -> bool:
        """Truth values."""
        return self.kind == "value" and self.element == "i1"

    @property
    def is_integer(self) -> bool:
        """Whole numbers, truth values left out."""
        return self.kind == "value" and not self.is_float and not self.is_boolean


def known_element(name: str) -> bool:
    """Whether `name` is an element type with a known size."""
    return name in _BITS


@dataclass(frozen=True, slots=True)
class Location:
    """A line of the kernel's source; path "" where the compiler gives none."""

    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.path else "(no source line)"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One SSA value. Two values are the same only if they are the same object: names repeat between regions."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Straight-line operations; `label` is "" for a region's only block."""

    label: str
    arguments: tuple[Value, ...]
    operations: tuple["Operation", ...]

    @property
    def terminator(self) -> "Operation":
        """The last operation: a yield, return or branch."""
        return self.operations[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The body of an operation or function; the first block is the entry."""

    blocks: tuple[Block, ...]

    @property
    def entry(self) -> Block:
        """The first block."""
        return self.blocks[0]


@dataclass(frozen=True, slots=True)
class Successor:
    """Where a branch goes: a block's label and the values passed to its arguments."""

    label: str
    operands: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation: `words` are the bare keywords ("slt", "fadd", "x"), `attributes` the {...} entries as text."""

    name: str
    results: tuple[Value, ...]
    operands: tuple[Value, ...]
    words: tuple[str, ...]
    attributes: Mapping[str, str]
    regions: tuple[Region, ...]
    location: Location
    line: int
    text: str
    successors: tuple[Successor, ...] = ()
    segments: tuple[tuple[Value, ...], ...] = field(default=())

    @property
    def result(self) -> Value:
        """The only result."""
        (value,) = self.results
        return value

    def integer(self, attribute: str) -> int:
        """An attribute such as `axis = 1 : i32` as a number."""
        return int(self.attributes[attribute].split(":")[0])


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A tt.func: `arguments` in the order of the signature."""

    name: str
    arguments: tuple[Value, ...]
    body: Region
    location: Location
    is_public: bool


@dataclass(frozen=True, slots=True)
class Module:
    """All functions of a TTIR text, by name."""

    functions: Mapping[str, Function]

    @property
    def kernel(self) -> Function:
        """The function that is launched: the public one."""
        (found,) = (function for function in self.functions.values() if function.is_public)
        return found


def operations_in(region: Region) -> Iterator[Operation]:
    """All operations of a region, those of nested regions included, in the order of the text."""
    for block in region.blocks:
        for operation in block.operations:
            yield operation
            for inner in operation.regions:
                yield from operations_in(inner)
