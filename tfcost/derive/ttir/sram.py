"""How many bytes of block tensors one program keeps on chip: those that are alive at each point of the kernel.

The rule. Counted are floating-point tensors, and integer tensors that come from memory or from tt.dot; addresses,
indices, masks, scalars and constants are not. A tensor is alive from the operation that makes it to its last use.
Broadcasts, reshapes, transpositions and the like are views: they keep what they show alive and add nothing. An
elementwise operation may write over an operand that dies with it, tt.dot over its accumulator; loads, reductions and
products need their operands and results at once. A value carried round a loop is one tensor per trip: the new one
replaces the old one when the trip ends.
"""

from tfcost.derive.ttir.tree import Block, Function, Operation, Region, Value

_VIEWS = frozenset(
    f"tt.{name}" for name in ("splat", "unsplat", "broadcast", "expand_dims", "reshape", "trans", "bitcast")
) | {"arith.bitcast"}
_FROM_MEMORY = {"tt.load", "tt.descriptor_load", "tt.descriptor_gather", "tt.atomic_load", "tt.dot"}
_SEPARATE = _FROM_MEMORY | {"tt.reduce", "tt.scan", "tt.gather", "tt.histogram", "tt.join", "tt.split", "tt.cat"}

Live = frozenset[Value]


def live_bytes(kernel: Function) -> tuple[int, ...]:
    """Bytes of block tensors alive at each point of the kernel's body where one is made or used; 0 at its end."""
    liveness = _Liveness(kernel.body)
    live: Live = frozenset()
    for block in reversed(kernel.body.blocks):
        live = liveness.before(block, live)
    return tuple(liveness.levels)


class _Liveness:
    """Walks blocks backwards; `levels` are the totals seen."""

    def __init__(self, region: Region) -> None:
        self.levels = [0]
        self._roots: dict[Value, Value | None] = {}
        self._find_roots(region)

    def _find_roots(self, region: Region) -> None:
        """Maps every value to the tensor that holds its data, None for what is not counted."""
        for block in region.blocks:
            for value in block.arguments:
                self._roots[value] = value if value.type.shape and value.type.is_float else None
            for operation in block.operations:
                for value in operation.results:
                    self._roots[value] = self._root(operation, value)
                for inner in operation.regions:
                    self._find_roots(inner)

    def _root(self, operation: Operation, value: Value) -> Value | None:
        if operation.name in _VIEWS:
            return self._roots.get(operation.operands[0])
        data = value.type.is_float or (operation.name in _FROM_MEMORY and value.type.is_integer)
        return value if data and value.type.shape and operation.name != "arith.constant" else None

    def _held(self, values: tuple[Value, ...]) -> Live:
        roots = (self._roots.get(value) for value in values)
        return frozenset(root for root in roots if root is not None)

    def _see(self, *live: Live) -> None:
        self.levels += map(_bytes, live)

    def before(self, block: Block, after: Live) -> Live:
        """What is alive before a block, given what is alive after it."""
        live = after
        for operation in reversed(block.operations):
            live = self._before_operation(operation, live)
        return live

    def _before_operation(self, operation: Operation, after: Live) -> Live:
        if operation.name == "scf.for":
            return self._before_loop(operation, after)
        made = self._held(operation.results) & after
        used = self._held(operation.operands)
        if operation.name in ("scf.if", "scf.while"):
            outer = after - made
            starts = [self.before(region.entry, outer) for region in operation.regions]
            live = frozenset().union(outer, used, *starts)
            self._see(live, after)
            return live
        if operation.name in _VIEWS or not (made or used):
            return after | used
        live = (after - made) | used
        if operation.name in _SEPARATE:
            dying = live - after
            reused = self._held(operation.operands[2:3]) & dying if operation.name == "tt.dot" else frozenset()
            self._see((live | after) - reused)
        self._see(live, after)
        return live

    def _before_loop(self, operation: Operation, after: Live) -> Live:
        body = operation.regions[0].entry
        made = self._held(operation.results)
        carried = self._held(body.arguments)
        outer = after - made
        # What the body uses from outside stays alive through all trips.
        outside = outer | (self.before(body, self._held(body.terminator.operands)) - carried)
        self.before(body, outside)
        live = outside | self._held(operation.operands)
        self._see(live, after)
        return live


def _bytes(values: Live) -> int:
    return sum(value.type.elements * value.type.element_bytes for value in values)
