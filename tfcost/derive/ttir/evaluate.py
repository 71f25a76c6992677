"""Evaluates a kernel's values symbolically, on demand: from the kernel's arguments, program ids and loop counters.

Only what a count depends on is ever computed. A value carried round a loop is known if it stays the same or moves by
a fixed amount per trip; otherwise it is unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tfcost.derive.integers.division import exact_quotient
from tfcost.derive.integers.poly import ZERO, Poly
from tfcost.derive.ttir.loops import Loop, make_loop
from tfcost.derive.ttir.symbols import PointerTo, Symbolic, Unknown, as_condition, select
from tfcost.derive.ttir.totals import PROGRAM_DEPTH
from tfcost.derive.ttir.tree import Block, Function, Operation, Region, Value
from tfcost.derive.ttir.values import value_of

_FIRST_LOOP_DEPTH = PROGRAM_DEPTH + 1
_AXES = {"x": 0, "y": 1, "z": 2}
_POINTER_STEPS = ("tt.addptr", "tt.splat", "tt.broadcast", "tt.expand_dims", "tt.reshape", "tt.trans", "tt.bitcast")


@dataclass(frozen=True, slots=True)
class _Definition:
    """Where a value comes from: result or block argument `index` of `operation` (None: of a function's block)."""

    operation: Operation | None
    index: int
    depth: int
    block: Block | None = None


class Evaluator:
    """`value(v)` is the symbolic value of any SSA value of the kernel."""

    def __init__(
        self, kernel: Function, arguments: Mapping[Value, Symbolic], program_ids: tuple[Poly, ...],
        grid: tuple[Poly, ...],
    ) -> None:  # fmt: skip
        self._known: dict[Value, Symbolic] = dict(arguments)
        self._program_ids, self._grid = program_ids, grid
        self._definitions: dict[Value, _Definition] = {}
        self._branches: dict[str, list[tuple[Value, ...]]] = {}
        self._loops: dict[Operation, Loop] = {}
        self._depths: dict[Operation, int] = {}
        self._active: set[Value] = set()
        self._index(kernel.body, None, _FIRST_LOOP_DEPTH)

    def value(self, value: Value) -> Symbolic:
        """The symbolic value; `Unknown` where the rules do not know it."""
        # Operands first, from a list instead of by recursion: unrolled loops make chains of thousands of operations.
        pending = [value]
        while pending:
            current = pending[-1]
            missing = [] if self._is_begun(current) else [v for v in self._needs(current) if not self._is_begun(v)]
            pending.extend(missing)
            if not missing:
                pending.pop()
                if not self._is_begun(current):
                    self._active.add(current)
                    self._known[current] = self._evaluate(current)
                    self._active.discard(current)
        return self._known[value] if value in self._known else Unknown(f"{value.name}, which depends on itself")

    def _is_begun(self, value: Value) -> bool:
        return value in self._known or value in self._active

    def _needs(self, value: Value) -> tuple[Value, ...]:
        """The operands that the value of a plain operation is computed from."""
        definition = self._definitions[value]
        operation = definition.operation
        if operation is None or definition.block is not None or operation.regions or len(operation.results) != 1:
            return ()
        # How far a pointer moves inside its tensor is not tracked.
        return operation.operands[:1] if operation.name == "tt.addptr" else operation.operands

    def loop(self, operation: Operation) -> Loop:
        """The loop of an scf.for. Raises `KernelError` if nothing bounds its trip count."""
        if operation not in self._loops:
            low, high, step = (self.value(operand) for operand in operation.operands[:3])
            self._loops[operation] = make_loop(operation, low, high, step, self._depths[operation])
        return self._loops[operation]

    def _index(self, region: Region, owner: Operation | None, depth: int) -> None:
        for block in region.blocks:
            for index, value in enumerate(block.arguments):
                self._definitions[value] = _Definition(owner, index, depth, block)
            for operation in block.operations:
                self._depths[operation] = depth
                for index, value in enumerate(operation.results):
                    self._definitions[value] = _Definition(operation, index, depth)
                for successor in operation.successors:
                    self._branches.setdefault(successor.label, []).append(successor.operands)
                for inner in operation.regions:
                    self._index(inner, operation, depth + (operation.name == "scf.for"))

    def _evaluate(self, value: Value) -> Symbolic:
        definition = self._definitions[value]
        operation = definition.operation
        if definition.block is not None:
            return self._block_argument(definition, definition.block)
        assert operation is not None
        if operation.name == "scf.if":
            return self._branch_result(operation, definition.index)
        if operation.name == "scf.for":
            return self._loop_result(operation, definition.index)
        if operation.name == "tt.get_program_id":
            return self._program_ids[_AXES[operation.words[0]]]
        if operation.name == "tt.get_num_programs":
            return self._grid[_AXES[operation.words[0]]]
        if len(operation.results) != 1 or operation.regions:
            return Unknown(f"{operation.name} at {operation.location}")
        return value_of(operation, tuple(self.value(operand) for operand in self._needs(value)))

    def _block_argument(self, definition: _Definition, block: Block) -> Symbolic:
        operation = definition.operation
        if operation is None:
            passed = self._branches.get(block.label, [])
            if len(passed) == 1:
                return self.value(passed[0][definition.index])
            return Unknown("a value that differs between branches")
        if operation.name == "scf.for":
            return self._carried(operation, definition.index)
        if operation.name == "scf.while" and block is operation.regions[0].entry:
            return Unknown(f"a value carried round the loop at {operation.location}")
        return Unknown(f"an argument of {operation.name} at {operation.location}")

    def _branch_result(self, operation: Operation, index: int) -> Symbolic:
        condition = as_condition(self.value(operation.operands[0]))
        yes, no = (self.value(region.entry.terminator.operands[index]) for region in operation.regions)
        return select(condition, yes, no)

    # Values carried round a loop --------------------------------------------------------------------------------

    def _carried(self, operation: Operation, index: int) -> Symbolic:
        """Argument `index` of a loop's body: its counter (0) or a carried value."""
        loop = self.loop(operation)
        if index == 0:
            return Poly.of(loop.index)
        start = self.value(operation.operands[2 + index])
        body = operation.regions[0].entry
        argument, yielded = body.arguments[index], body.terminator.operands[index - 1]
        if argument.type.kind == "pointer":
            same = isinstance(start, PointerTo) and self._stays_inside(yielded, argument, start)
            return start if same else Unknown(f"a pointer carried round the loop at {operation.location}")
        advance = self._advance_per_trip(yielded, argument, loop)
        if not isinstance(start, Poly) or advance is None:
            return Unknown(f"{argument.name}, carried round the loop at {operation.location}")
        quotient = exact_quotient(advance, loop.step)
        if quotient is not None:
            # In terms of the loop's index, which a loop over tiles keeps (see `totals`).
            return start + quotient * (Poly.of(loop.index) - loop.low)
        return start + advance * Poly.of(loop.counter)

    def _loop_result(self, operation: Operation, index: int) -> Symbolic:
        start = self.value(operation.operands[3 + index])
        body = operation.regions[0].entry
        argument, yielded = body.arguments[1 + index], body.terminator.operands[index]
        if argument.type.kind == "pointer":
            same = isinstance(start, PointerTo) and self._stays_inside(yielded, argument, start)
            return start if same else Unknown(f"a pointer carried round the loop at {operation.location}")
        loop = self.loop(operation)
        advance = self._advance_per_trip(yielded, argument, loop)
        if not isinstance(start, Poly) or advance is None or loop.bounded:
            return Unknown(f"the result of the loop at {operation.location}")
        return start + advance * loop.trips

    def _advance_per_trip(self, yielded: Value, argument: Value, loop: Loop) -> Poly | None:
        advance = self._advance(yielded, argument)
        if advance is None or not {loop.index, loop.counter}.isdisjoint(advance.variables):
            return None
        return advance

    def _advance(self, value: Value, start: Value) -> Poly | None:
        """D with value = start + d, read off the additions between the two; None if there is more than that."""
        if value is start:
            return ZERO
        definition = self._definitions.get(value)
        operation = definition.operation if definition is not None and definition.block is None else None
        if operation is None or definition is None:
            return None
        if operation.name == "scf.for":
            inner = self._loop_advance(operation, definition.index)
            before = self._advance(operation.operands[3 + definition.index], start)
            return before + inner if before is not None and inner is not None else None
        if operation.name in ("arith.addi", "arith.subi"):
            left, right = operation.operands
            sign = 1 if operation.name == "arith.addi" else -1
            orders = [(left, right, sign)] + ([(right, left, 1)] if sign == 1 else [])
            for chain, other, factor in orders:
                before = self._advance(chain, start)
                step = self.value(other) if before is not None else None
                if before is not None and isinstance(step, Poly):
                    return before + step * factor
        return None

    def _loop_advance(self, operation: Operation, index: int) -> Poly | None:
        body = operation.regions[0].entry
        loop = self.loop(operation)
        advance = self._advance_per_trip(body.terminator.operands[index], body.arguments[1 + index], loop)
        return advance * loop.trips if advance is not None and not loop.bounded else None

    def _stays_inside(self, value: Value, argument: Value, start: PointerTo) -> bool:
        """Whether a pointer yielded by a loop points into the memory it pointed into at the start of the trip."""
        if value is argument:
            return True
        definition = self._definitions.get(value)
        operation = definition.operation if definition is not None and definition.block is None else None
        if operation is not None and operation.name in _POINTER_STEPS:
            return self._stays_inside(operation.operands[0], argument, start)
        return self.value(value) == start
