"""TTIR text in, a `Module` tree out. A line that is not understood is a `ParseError` that shows it.

The text is what `str(module)` prints with debug information, in Triton 3.6 to 3.9. Every operation keeps the kernel
source line it comes from.
"""

import re
from collections.abc import Callable

from tfcost.derive.ttir.errors import ParseError
from tfcost.derive.ttir.headers import Header, read_attributes, read_header, result_types
from tfcost.derive.ttir.locations import Locations, split_location
from tfcost.derive.ttir.tree import Block, Function, Module, Operation, Region, Successor, Type, Value
from tfcost.derive.ttir.types import parse_type, parse_types, split_top_level

_FUNCTION = re.compile(r'tt\.func (public |private )?@(?:"([^"]*)"|([\w$.\-]+))\((.*)\)(.*)\{', re.DOTALL)
_FOR = re.compile(
    r"(?:unsigned )?(%[\w$.\-]+) = (%[\w$.#\-]+) to (%[\w$.#\-]+) step (%[\w$.#\-]+)\s*"
    r"(?:iter_args\((.*?)\) -> (.*?))?\s*(?:: (\w+))?\s*\{",
    re.DOTALL,
)
_WHILE = re.compile(r"\((.*?)\) : (.*) -> (.*) \{", re.DOTALL)
_WHILE_BARE = re.compile(r": \(\) -> \(\) \{")
_IF = re.compile(r"(%[\w$.#\-]+)(?: -> (.*))? \{", re.DOTALL)
_BLOCK = re.compile(r"\^(bb\d+)(?:\((.*)\))?:")
_SUCCESSOR = re.compile(r"\^(bb\d+)(?:\(([^:)]*)(?::[^)]*)?\))?")


def parse_module(text: str) -> Module:
    """The functions of a TTIR text. Raises `ParseError`."""
    return _Parser(text).module()


class _Scope:
    """The values visible at one point; inner regions see the outer ones' values, not the other way round."""

    def __init__(self, outer: "_Scope | None" = None) -> None:
        self._outer, self._values = outer, dict[str, Value]()

    def define(self, name: str, value: Value) -> None:
        self._values[name] = value

    def find(self, name: str) -> Value:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope._values:
                return scope._values[name]
            scope = scope._outer
        raise ValueError(f"value {name} is not defined")


class _Parser:
    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._locations = Locations(self._lines)
        self._position = 0

    # One line at a time -----------------------------------------------------------------------------------------

    def _skip_blank(self) -> None:
        while self._position < len(self._lines):
            line = self._lines[self._position].strip()
            if line and not line.startswith(("#", "//")):
                return
            self._position += 1

    def _peek(self) -> str:
        self._skip_blank()
        if self._position >= len(self._lines):
            raise ParseError(len(self._lines), "(end of text)", "the text ends inside a region")
        return self._lines[self._position].strip()

    def _take(self) -> tuple[str, str, int]:
        """(text without location, location mark, line number) of the next line."""
        text, mark = split_location(self._peek())
        self._position += 1
        return text, mark, self._position

    def _guard(self, step: Callable[[], Operation]) -> Operation:
        start = self._position
        try:
            return step()
        except (ValueError, KeyError, IndexError) as error:
            raise ParseError(start + 1, self._lines[start], str(error)) from error

    # Structure --------------------------------------------------------------------------------------------------

    def module(self) -> Module:
        text, _, number = self._take()
        if not (text.startswith("module") and text.endswith("{")):
            raise ParseError(number, text, "expected 'module {'")
        functions = {}
        while not self._peek().startswith("}"):
            function = self._function()
            functions[function.name] = function
        if sum(function.is_public for function in functions.values()) != 1:
            raise ParseError(number, text, "expected exactly one public function")
        return Module(functions)

    def _function(self) -> Function:
        text, _, number = self._take()
        match = _FUNCTION.fullmatch(text)
        if match is None:
            raise ParseError(number, text, "expected 'tt.func ... {'")
        visibility, quoted, bare, arguments, rest = match.groups()
        # The greedy match may run into the result types: cut at the parenthesis that closes the arguments.
        scope = _Scope()
        try:
            values = self._arguments(_balanced_prefix(arguments + ")" + rest), scope)
        except ValueError as error:
            raise ParseError(number, text, str(error)) from error
        body = self._region(scope)
        _, mark = split_location(self._lines[self._position - 1])
        return Function(quoted or bare, values, body, self._locations.find(mark), visibility != "private ")

    def _arguments(self, text: str, scope: _Scope) -> tuple[Value, ...]:
        """Declares `%name: type {attributes} loc(...)` entries."""
        values = []
        for part in split_top_level(text, ","):
            declaration, _ = split_location(part)
            name, _, rest = declaration.partition(":")
            value = Value(name.strip(), parse_type(rest.partition(" {")[0]))
            scope.define(value.name, value)
            values.append(value)
        return tuple(values)

    def _region(self, scope: _Scope) -> Region:
        """Blocks up to the line that closes the region, which is taken too."""
        blocks = []
        label, arguments = "", tuple[Value, ...]()
        operations: list[Operation] = []
        while True:
            line = self._peek()
            if line.startswith("}"):
                self._position += 1
                blocks.append(Block(label, arguments, tuple(operations)))
                return Region(tuple(blocks))
            match = _BLOCK.match(line)
            if match is None:
                operations.append(self._guard(lambda: self._operation(scope)))
                continue
            if operations:
                blocks.append(Block(label, arguments, tuple(operations)))
                operations = []
            self._position += 1
            label, arguments = match[1], self._arguments(match[2] or "", scope)

    def _closing(self) -> tuple[str, str]:
        """(text, location mark) of the line that closed the last region."""
        return split_location(self._lines[self._position - 1].strip())

    # Operations -------------------------------------------------------------------------------------------------

    def _operation(self, scope: _Scope) -> Operation:
        text, mark, number = self._take()
        if text.endswith("({"):
            return self._generic(text, number, scope)
        header = read_header(text)
        structured = {"scf.for": self._for, "scf.if": self._if, "scf.while": self._while}.get(header.name)
        if structured is not None:
            return structured(header, text, number, scope)
        if text.endswith("{") and not header.attributes:
            raise ValueError(f"{header.name} has a region of an unknown form")
        if header.name in ("cf.br", "cf.cond_br"):
            return self._branch(header, text, mark, number, scope)
        return self._finish(header, text, mark, number, scope, types=None)

    def _finish(
        self,
        header: Header,
        text: str,
        mark: str,
        number: int,
        scope: _Scope,
        types: list[Type] | None,
        operands: tuple[Value, ...] | None = None,
        regions: tuple[Region, ...] = (),
        successors: tuple[Successor, ...] = (),
    ) -> Operation:
        if operands is None:
            operands = tuple(scope.find(name) for name in header.operands)
        segments = tuple(tuple(scope.find(name) for name in group) for group in header.groups)
        found = result_types(header, operands) if types is None else types
        results = _define_results(header, found, scope)
        location = self._locations.find(mark)
        return Operation(
            header.name, results, operands, header.words, header.attributes, regions, location, number, text,
            successors, segments,
        )  # fmt: skip

    def _generic(self, text: str, number: int, scope: _Scope) -> Operation:
        """`%r = "tt.reduce"(%x) <{axis = 1 : i32}> ({ regions }) : (types) -> types`."""
        header = read_header(text[: -len("({")])
        regions = [self._region(_Scope(scope))]
        while self._closing()[0].startswith("}, {"):
            regions.append(self._region(_Scope(scope)))
        closing, mark = self._closing()
        parts = split_top_level(closing.removeprefix("})"), " -> ")
        types = parse_types(parts[-1]) if len(parts) == 2 and parts[-1] != "()" else []
        return self._finish(header, text, mark, number, scope, types, regions=tuple(regions))

    def _for(self, header: Header, text: str, number: int, scope: _Scope) -> Operation:
        match = _FOR.fullmatch(header.rest)
        if match is None:
            raise ValueError("scf.for of an unknown form")
        counter, low, high, step, carried, types, counter_type = match.groups()
        inner = _Scope(scope)
        names, starts = _assignments(carried or "")
        carried_types = parse_types(types) if types else []
        arguments = [Value(counter, parse_type(counter_type or "index"))]
        arguments += [Value(name, type_) for name, type_ in zip(names, carried_types, strict=True)]
        for value in arguments:
            inner.define(value.name, value)
        operands = tuple(scope.find(name) for name in (low, high, step, *starts))
        region = _with_arguments(self._region(inner), tuple(arguments))
        return self._close(header, text, number, scope, carried_types, operands, (region,))

    def _if(self, header: Header, text: str, number: int, scope: _Scope) -> Operation:
        match = _IF.fullmatch(header.rest)
        if match is None:
            raise ValueError("scf.if of an unknown form")
        types = parse_types(match[2]) if match[2] else []
        regions = [self._region(_Scope(scope))]
        if self._closing()[0].startswith("} else {"):
            regions.append(self._region(_Scope(scope)))
        return self._close(header, text, number, scope, types, (scope.find(match[1]),), tuple(regions))

    def _while(self, header: Header, text: str, number: int, scope: _Scope) -> Operation:
        match = _WHILE.fullmatch(header.rest)
        if match is None and not _WHILE_BARE.fullmatch(header.rest):
            raise ValueError("scf.while of an unknown form")
        names, starts = _assignments(match[1]) if match else ([], [])
        operands = tuple(scope.find(name) for name in starts)
        inner = _Scope(scope)
        arguments = tuple(Value(name, value.type) for name, value in zip(names, operands, strict=True))
        for value in arguments:
            inner.define(value.name, value)
        before = _with_arguments(self._region(inner), arguments)
        if not self._closing()[0].startswith("} do {"):
            raise ValueError("scf.while without 'do'")
        after = self._region(_Scope(scope))
        types = parse_types(match[3]) if match and match[3] != "()" else []
        return self._close(header, text, number, scope, types, operands, (before, after))

    def _close(
        self,
        header: Header,
        text: str,
        number: int,
        scope: _Scope,
        types: list[Type],
        operands: tuple[Value, ...],
        regions: tuple[Region, ...],
    ) -> Operation:
        """An operation whose attributes and location stand behind its closing brace."""
        closing, mark = self._closing()
        attributes = closing.removeprefix("}").strip().removeprefix("attributes").strip()
        found = read_attributes(attributes[1:-1]) if attributes.startswith("{") else {}
        plain = Header(header.results, header.name, (), (), header.words[:1], found, "", "")
        return self._finish(plain, text, mark, number, scope, types, operands, regions)

    def _branch(self, header: Header, text: str, mark: str, number: int, scope: _Scope) -> Operation:
        successors = tuple(
            Successor(label, tuple(scope.find(name.strip()) for name in values.split(",") if name.strip()))
            for label, values in _SUCCESSOR.findall(header.rest)
        )
        condition = (scope.find(header.operands[0]),) if header.name == "cf.cond_br" else ()
        return self._finish(header, text, mark, number, scope, [], condition, successors=successors)


def _define_results(header: Header, types: list[Type], scope: _Scope) -> tuple[Value, ...]:
    results: list[Value] = []
    for name, count in header.results:
        for index in range(count):
            value = Value(name if count == 1 else f"{name}#{index}", types[len(results)])
            scope.define(value.name, value)
            results.append(value)
    if len(results) != len(types) and results:
        raise ValueError(f"{len(types)} result types for {len(results)} results")
    return tuple(results)


def _with_arguments(region: Region, arguments: tuple[Value, ...]) -> Region:
    """The region with arguments that its operation's header declares."""
    first = region.entry
    return Region((Block(first.label, arguments, first.operations), *region.blocks[1:]))


def _assignments(text: str) -> tuple[list[str], list[str]]:
    """`%a = %x, %b = %y` as (["%a", "%b"], ["%x", "%y"])."""
    pairs = [part.split(" = ") for part in split_top_level(text, ",")]
    return [pair[0].strip() for pair in pairs], [pair[1].strip() for pair in pairs]


def _balanced_prefix(text: str) -> str:
    """`text` up to the parenthesis that closes one opened before it."""
    depth, quoted = 1, False
    for index, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "()":
            depth += 1 if char == "(" else -1
            if depth == 0:
                return text[:index]
    raise ValueError("unbalanced parentheses")
