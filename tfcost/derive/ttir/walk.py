"""TTIR text and a launch's symbolic arguments in, the cost of the launch out.

The walk visits every operation once, knowing the loops and branch conditions around it, asks its rule what one
execution costs, counts the active lanes, and sums over loops and grid. Where a count depends on loaded data it takes
the most that is possible and says so; where nothing bounds it, or an operation has no rule, it fails.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from tfcost.derive.integers.convert import from_sympy, to_sympy
from tfcost.derive.integers.poly import ZERO, Poly
from tfcost.derive.integers.prove import is_nonnegative
from tfcost.derive.integers.summation import NoClosedForm
from tfcost.derive.ttir.arguments import Argument, bind_arguments
from tfcost.derive.ttir.conditions import FALSE, TRUE, Condition, both, either, loosened, negation, reasons
from tfcost.derive.ttir.counting import active_lanes
from tfcost.derive.ttir.errors import KernelError
from tfcost.derive.ttir.evaluate import Evaluator
from tfcost.derive.ttir.inline import inlined_kernel
from tfcost.derive.ttir.kernel_cost import KINDS, Event, KernelCost
from tfcost.derive.ttir.loops import Loop
from tfcost.derive.ttir.parse import parse_module
from tfcost.derive.ttir.rules import Charge, charge_of
from tfcost.derive.ttir.sram import live_bytes
from tfcost.derive.ttir.symbols import Box, PointerTo, as_condition
from tfcost.derive.ttir.totals import Totals
from tfcost.derive.ttir.tree import Block, Function, Operation


def walk_kernel(
    text: str, arguments: Mapping[str, Argument], grid: tuple[sp.Expr | int, sp.Expr | int, sp.Expr | int]
) -> KernelCost:
    """The cost of launching the kernel whose TTIR is `text` on `grid`.

    `arguments`: every parameter that is not a constexpr, in the signature's order (see `bind_arguments`).
    Raises `ParseError`, `UnknownOperation` or `KernelError`, each with the line concerned.
    """
    kernel = inlined_kernel(parse_module(text))
    walk = _Walk(kernel, arguments, grid)
    counted = walk.body()
    totals = dict.fromkeys(KINDS, ZERO)
    for item in counted:
        totals[item.event.kind] = totals[item.event.kind] + item.amount
    events = tuple(replace(item.event, amount=to_sympy(item.amount)) for item in counted)
    notes = tuple(dict.fromkeys(f"{event.path}:{event.line}: {event.note}" for event in events if event.note))
    return KernelCost(
        kernel.name, events, {kind: to_sympy(total) for kind, total in totals.items()}, live_bytes(kernel), notes
    )


@dataclass(frozen=True, slots=True)
class _Context:
    """The loops around an operation, what must hold for it to run, and why its count is only a bound ("" if exact)."""

    loops: tuple[Loop, ...] = ()
    condition: Condition = TRUE
    bounded: tuple[str, ...] = ()

    def where(self, condition: Condition) -> "_Context":
        """The context of code that runs only if the condition holds; what is undecided of it counts as true."""
        why = tuple(f"runs or not depending on {reason}" for reason in dict.fromkeys(reasons(condition)))
        return replace(self, condition=both(self.condition, loosened(condition)), bounded=self.bounded + why)

    def inside(self, loop: Loop) -> "_Context":
        """The context of a loop's body."""
        why = (f"the loop's trip count depends on {loop.bounded}",) if loop.bounded else ()
        return replace(self, loops=(*self.loops, loop), bounded=self.bounded + why)


@dataclass(frozen=True, slots=True)
class _Counted:
    """An event and its amount in canonical form."""

    event: Event
    amount: Poly


class _Walk:
    def __init__(self, kernel: Function, arguments: Mapping[str, Argument], grid: Iterable[sp.Expr | int]) -> None:
        x, y, z = (from_sympy(sp.sympify(size)) for size in grid)
        self._kernel = kernel
        self._bound = bind_arguments(kernel, arguments)
        self._totals = Totals((x, y, z))
        self._evaluator = Evaluator(kernel, self._bound, self._totals.program_ids, self._totals.grid)

    def body(self) -> list[_Counted]:
        """All events of the kernel. Early returns make its body several blocks, each with its own condition."""
        found: list[_Counted] = []
        incoming: dict[str, list[_Context]] = {self._kernel.body.entry.label: [_Context()]}
        done = set()
        for block in self._kernel.body.blocks:
            done.add(block.label)
            context = _joined(incoming.get(block.label, []))
            if context is None:
                continue
            found += self._block(block, context)
            for label, edge in self._edges(block.terminator, context):
                if label in done:
                    raise KernelError(block.terminator, "a jump backwards")
                incoming.setdefault(label, []).append(edge)
        return found

    def _edges(self, terminator: Operation, context: _Context) -> list[tuple[str, _Context]]:
        if not terminator.operands or terminator.name != "cf.cond_br":
            return [(successor.label, context) for successor in terminator.successors]
        condition = as_condition(self._evaluator.value(terminator.operands[0]))
        yes, no = terminator.successors
        edges = [(yes.label, context.where(condition)), (no.label, context.where(negation(condition)))]
        return [(label, edge) for label, edge in edges if edge.condition != FALSE]

    def _block(self, block: Block, context: _Context) -> list[_Counted]:
        found: list[_Counted] = []
        for operation in block.operations:
            if operation.name == "scf.for":
                found += self._loop(operation, context)
            elif operation.name == "scf.if":
                found += self._branch(operation, context)
            elif operation.name == "scf.while":
                found += self._while(operation, context)
            else:
                charge = charge_of(operation, self._evaluator)
                if charge is not None and charge.per_lane:
                    found += self._count(operation, charge, context)
        return found

    def _loop(self, operation: Operation, context: _Context) -> list[_Counted]:
        loop = self._evaluator.loop(operation)
        if loop.trips == ZERO:
            return []
        return self._block(operation.regions[0].entry, context.inside(loop))

    def _branch(self, operation: Operation, context: _Context) -> list[_Counted]:
        condition = as_condition(self._evaluator.value(operation.operands[0]))
        branches: list[list[_Counted]] = []
        for region, holds in zip(operation.regions, (condition, negation(condition)), strict=False):
            inner = context.where(holds)
            branches.append([] if inner.condition == FALSE else self._block(region.entry, inner))
        if next(reasons(condition), None) is None:
            return [item for branch in branches for item in branch]
        return _larger(*branches) if len(branches) == 2 else branches[0]

    def _while(self, operation: Operation, context: _Context) -> list[_Counted]:
        """Only a loop that is never entered can be counted: its test runs once."""
        before = operation.regions[0].entry
        first = dict(zip(before.arguments, map(self._evaluator.value, operation.operands), strict=True))
        evaluator = Evaluator(
            self._kernel, {**self._bound, **first}, self._totals.program_ids, self._totals.grid
        )  # fmt: skip
        if as_condition(evaluator.value(before.terminator.operands[0])) != FALSE:
            raise KernelError(operation, "how often a while loop runs is not known before it runs")
        return self._block(before, context)

    def _count(self, operation: Operation, charge: Charge, context: _Context) -> list[_Counted]:
        inner = replace(context, condition=both(context.condition, loosened(charge.mask)))
        why = [*context.bounded, *(f"the mask depends on {reason}" for reason in reasons(charge.mask))]
        try:
            lanes = active_lanes(charge.shape, inner.condition)
            amount = self._totals.over(lanes, context.loops) * charge.per_lane
        except NoClosedForm as error:
            raise KernelError(operation, str(error)) from error
        if amount == ZERO:
            return []
        target = charge.target.argument if isinstance(charge.target, PointerTo | Box) else ""
        place = operation.location
        note = "at most: " + "; ".join(dict.fromkeys(why)) if why else ""
        event = Event(
            charge.kind, operation.name, place.path, place.line, operation.line, sp.Integer(0), target, bool(why), note
        )
        return [_Counted(event, amount)]


def _joined(contexts: list[_Context]) -> _Context | None:
    """The context of a block that is entered from any of these."""
    if not contexts:
        return None
    bounded = tuple(dict.fromkeys(reason for context in contexts for reason in context.bounded))
    return _Context((), either(*(context.condition for context in contexts)), bounded)


def _larger(left: list[_Counted], right: list[_Counted]) -> list[_Counted]:
    """Per kind, the branch that costs more; both where neither is known to (still an upper bound)."""
    kept: list[_Counted] = []
    for kind in KINDS:
        sides = [[item for item in side if item.event.kind == kind] for side in (left, right)]
        first, second = (sum((item.amount for item in side), ZERO) for side in sides)
        if is_nonnegative(first - second):
            kept += sides[0]
        elif is_nonnegative(second - first):
            kept += sides[1]
        else:
            kept += sides[0] + sides[1]
    return kept
