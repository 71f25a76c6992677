"""Replaces every tt.call by a copy of the function it calls, so that one tree holds the whole kernel."""

from dataclasses import replace

from tfcost.derive.ttir.errors import KernelError
from tfcost.derive.ttir.tree import Block, Function, Module, Operation, Region, Successor, Value

_DEEPEST = 50


def inlined_kernel(module: Module) -> Function:
    """The kernel without calls. Raises `KernelError` for recursion and for functions with several exits."""
    kernel = module.kernel
    return replace(kernel, body=_Copy(module, {}, 0).region(kernel.body))


class _Copy:
    """Copies regions; `renamed` maps the original's values to the copy's."""

    def __init__(self, module: Module, renamed: dict[Value, Value], depth: int) -> None:
        self._module, self._renamed, self._depth = module, renamed, depth

    def region(self, region: Region) -> Region:
        return Region(tuple(self._block(block) for block in region.blocks))

    def _block(self, block: Block) -> Block:
        arguments = tuple(self._fresh(value) if self._depth else value for value in block.arguments)
        return Block(block.label, arguments, self.operations(block.operations))

    def operations(self, operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        copied: list[Operation] = []
        for operation in operations:
            if operation.name == "tt.call":
                copied.extend(self._called(operation))
            else:
                copied.append(self._operation(operation))
        return tuple(copied)

    def _operation(self, operation: Operation) -> Operation:
        return replace(
            operation,
            operands=tuple(self._find(value) for value in operation.operands),
            segments=tuple(tuple(self._find(value) for value in group) for group in operation.segments),
            successors=tuple(
                Successor(to.label, tuple(self._find(value) for value in to.operands)) for to in operation.successors
            ),
            regions=tuple(self.region(region) for region in operation.regions),
            results=tuple(self._fresh(value) if self._depth else value for value in operation.results),
        )

    def _called(self, call: Operation) -> tuple[Operation, ...]:
        function = self._module.functions.get(call.attributes["callee"])
        if function is None:
            raise KernelError(call, f"the called function '{call.attributes['callee']}' is not in the module")
        if len(function.body.blocks) != 1:
            raise KernelError(call, f"the called function '{function.name}' returns from several places")
        if self._depth == _DEEPEST:
            raise KernelError(call, f"'{function.name}' calls itself")
        arguments = dict(zip(function.arguments, (self._find(value) for value in call.operands), strict=True))
        inner = _Copy(self._module, arguments, self._depth + 1)
        body = inner.operations(function.body.entry.operations)
        self._renamed.update(zip(call.results, body[-1].operands, strict=True))
        return body[:-1]

    def _fresh(self, value: Value) -> Value:
        self._renamed[value] = Value(value.name, value.type)
        return self._renamed[value]

    def _find(self, value: Value) -> Value:
        return self._renamed.get(value, value)
