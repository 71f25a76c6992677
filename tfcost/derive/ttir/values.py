"""What integer, boolean and pointer operations compute, symbolically: one rule per operation.

A rule maps the operands' symbolic values to the result's. An operation without a rule here has an unknown value, which
is no error: only what decides a count (a mask, a loop bound, a branch) has to be known. Integers are mathematical
ones: the kernel is assumed not to overflow its index arithmetic.
"""

import re
from collections.abc import Callable

from tfcost.derive.integers.division import ceil_div, floor_div, remainder, truncated_div
from tfcost.derive.integers.lattice import maximum, minimum
from tfcost.derive.integers.poly import Poly, as_poly
from tfcost.derive.integers.prove import is_nonnegative
from tfcost.derive.ttir.conditions import FALSE, TRUE, Condition, Undecided, at_least, both, either, equal, negation
from tfcost.derive.ttir.lanes import expanded, lane, permuted, reshaped
from tfcost.derive.ttir.symbols import (
    Box,
    PointerTo,
    Symbolic,
    Unknown,
    as_condition,
    as_number,
    move,
    select,
    upper_bound,
)
from tfcost.derive.ttir.tree import Operation

ValueRule = Callable[[Operation, tuple[Symbolic, ...]], Symbolic]
_RULES: dict[str, ValueRule] = {}
_INTEGER = re.compile(r"(?:dense<)?(-?\d+|true|false)>?")


def value_rule(*names: str) -> Callable[[ValueRule], ValueRule]:
    """Registers the rule for operations called `names`. A second rule for one name raises."""

    def register(function: ValueRule) -> ValueRule:
        for name in names:
            if name in _RULES:
                raise ValueError(f"two value rules for {name}")
            _RULES[name] = function
        return function

    return register


def value_of(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    """The value of an operation's only result."""
    rule = _RULES.get(operation.name)
    if rule is None:
        return Unknown(f"{operation.name} at {operation.location}")
    try:
        return rule(operation, operands)
    except ZeroDivisionError:
        return Unknown(f"a division by zero at {operation.location}")


@value_rule("arith.constant")
def _constant(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    match = _INTEGER.fullmatch(operation.attributes["value"])
    if match is None or operation.result.type.is_float:
        return Unknown("a constant that is not one integer")
    if match[1] in ("true", "false"):
        return TRUE if match[1] == "true" else FALSE
    return as_poly(int(match[1]))


@value_rule("tt.make_range")
def _make_range(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    start, end = operation.integer("start"), operation.integer("end")
    return lane(0, end - start) + start


@value_rule("tt.splat", "tt.broadcast", "tt.unsplat", "arith.extsi", "arith.trunci", "arith.index_cast",
            "arith.extui", "arith.index_castui")  # fmt: skip
def _unchanged(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    """Size-1 dimensions have no lane, so broadcasting changes nothing; casts keep the number."""
    (value,) = operands
    before, after = operation.operands[0].type, operation.result.type
    if before.is_boolean and not after.is_boolean:
        number = as_number(value)
        return -number if operation.name == "arith.extsi" and isinstance(number, Poly) else number
    if after.is_boolean and isinstance(value, Poly):
        return equal(remainder(value, 2), as_poly(1))
    return value


@value_rule("tt.bitcast", "arith.bitcast")
def _bitcast(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    kept = operation.operands[0].type.kind == operation.result.type.kind and not operation.result.type.is_float
    if kept and not operation.operands[0].type.is_float:
        return operands[0]
    return Unknown(f"bits read as another type at {operation.location}")


@value_rule("tt.expand_dims")
def _expand_dims(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    return move(operands[0], expanded(operation.operands[0].type.shape, operation.integer("axis")))


@value_rule("tt.trans")
def _trans(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    order = tuple(int(axis) for axis in re.findall(r"\d+", operation.attributes["order"].partition(":")[2]))
    return move(operands[0], permuted(operation.operands[0].type.shape, order))


@value_rule("tt.reshape")
def _reshape(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    if "allow_reorder" in operation.words and not isinstance(operands[0], PointerTo):
        return Unknown(f"a reshape that may reorder at {operation.location}")
    return move(operands[0], reshaped(operation.operands[0].type.shape, operation.result.type.shape))


@value_rule("tt.addptr")
def _addptr(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    return operands[0]


@value_rule("tt.load")
def _load(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    """What is declared of the memory, if every lane reads it: a masked load has lanes with another value."""
    pointer = operands[0]
    if isinstance(pointer, PointerTo) and pointer.contents is not None and len(operands) == 1:
        return pointer.contents
    return Unknown(f"{operation.name} at {operation.location}")


@value_rule("tt.make_tensor_descriptor")
def _make_descriptor(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    base, rank = operands[0], len(operation.segments[0])
    return Box(base.argument if isinstance(base, PointerTo) else "", operands[1 : 1 + rank])


def _arithmetic(
    compute: Callable[[Poly, Poly], Poly], bound: Callable[[Symbolic, Symbolic], Poly | None] | None = None
) -> ValueRule:
    """A rule for two integers; `bound` gives what the result is at most where an operand is unknown."""

    def rule(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
        left, right = (as_number(operand) for operand in operands)
        if isinstance(left, Poly) and isinstance(right, Poly):
            return compute(left, right)
        reason = next((v.reason for v in (left, right) if isinstance(v, Unknown)), f"{operation.name} of no integers")
        return Unknown(reason, bound(left, right) if bound is not None else None)

    return rule


def _monotonic(compute: Callable[[Poly, Poly], Poly]) -> Callable[[Symbolic, Symbolic], Poly | None]:
    """The bound of an operation that grows with both operands."""

    def bound(left: Symbolic, right: Symbolic) -> Poly | None:
        high, other = upper_bound(left), upper_bound(right)
        return compute(high, other) if high is not None and other is not None else None

    return bound


def _growing(compute: Callable[[Poly, Poly], Poly]) -> Callable[[Symbolic, Symbolic], Poly | None]:
    """The bound of an operation by a known number >= 0 that grows with its left operand."""

    def bound(left: Symbolic, right: Symbolic) -> Poly | None:
        high = upper_bound(left)
        known = isinstance(right, Poly) and is_nonnegative(right)
        return compute(high, right) if high is not None and known and isinstance(right, Poly) else None

    return bound


def _least(left: Symbolic, right: Symbolic) -> Poly | None:
    bounds = [bound for bound in (upper_bound(left), upper_bound(right)) if bound is not None]
    return minimum(*bounds) if bounds else None


def _minus(left: Symbolic, right: Symbolic) -> Poly | None:
    high = upper_bound(left)
    return high - right if high is not None and isinstance(right, Poly) else None


_RULES["arith.addi"] = _arithmetic(lambda a, b: a + b, _monotonic(lambda a, b: a + b))
_RULES["arith.subi"] = _arithmetic(lambda a, b: a - b, _minus)
_RULES["arith.muli"] = _arithmetic(lambda a, b: a * b, _growing(lambda a, b: a * b))
_RULES["arith.minsi"] = _arithmetic(minimum, _least)
_RULES["arith.maxsi"] = _arithmetic(maximum, _monotonic(maximum))


def _division(compute: Callable[[Poly, Poly], Poly], unsigned: bool = False) -> ValueRule:
    """A rule for a division whose divisor cannot be negative (0 would be the kernel's own mistake)."""
    plain = _arithmetic(compute, _growing(compute))

    def rule(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
        left, right = operands
        if isinstance(right, Poly) and not is_nonnegative(right):
            return Unknown(f"a division by a number of unknown sign at {operation.location}")
        if unsigned and isinstance(left, Poly) and not is_nonnegative(left):
            return Unknown(f"an unsigned division of a number of unknown sign at {operation.location}")
        return plain(operation, operands)

    return rule


_RULES["arith.divsi"] = _division(truncated_div)
_RULES["arith.remsi"] = _division(lambda a, b: a - truncated_div(a, b) * b)
_RULES["arith.floordivsi"] = _division(floor_div)
_RULES["arith.ceildivsi"] = _division(ceil_div)
_RULES["arith.divui"] = _division(floor_div, unsigned=True)
_RULES["arith.ceildivui"] = _division(ceil_div, unsigned=True)
_RULES["arith.remui"] = _division(remainder, unsigned=True)


@value_rule("arith.minui", "arith.maxui")
def _unsigned_extreme(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    if all(isinstance(operand, Poly) and is_nonnegative(operand) for operand in operands):
        signed = "arith.minsi" if operation.name == "arith.minui" else "arith.maxsi"
        return _RULES[signed](operation, operands)
    return Unknown(f"an unsigned comparison of numbers of unknown sign at {operation.location}")


@value_rule("arith.shli", "arith.shrsi", "arith.shrui")
def _shift(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    value, by = operands
    if not (isinstance(value, Poly) and isinstance(by, Poly) and by.is_constant and by.constant >= 0):
        return Unknown(f"a shift at {operation.location}")
    factor = 1 << int(by.constant)
    if operation.name == "arith.shli":
        return value * factor
    if operation.name == "arith.shrui" and not is_nonnegative(value):
        return Unknown(f"an unsigned shift of a number of unknown sign at {operation.location}")
    return floor_div(value, factor)


@value_rule("arith.andi", "arith.ori", "arith.xori")
def _bitwise(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    left, right = operands
    if operation.result.type.is_boolean:
        first, second = as_condition(left), as_condition(right)
        if operation.name == "arith.andi":
            return both(first, second)
        if operation.name == "arith.ori":
            return either(first, second)
        return either(both(first, negation(second)), both(negation(first), second))
    if operation.name == "arith.andi" and isinstance(left, Poly) and isinstance(right, Poly) and right.is_constant:
        size = int(right.constant) + 1
        if size > 0 and size & (size - 1) == 0:
            return remainder(left, size)
    return Unknown(f"bit arithmetic at {operation.location}")


@value_rule("arith.cmpi")
def _compare(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    left, right = (as_number(operand) for operand in operands)
    if not (isinstance(left, Poly) and isinstance(right, Poly)):
        return Undecided(next((v.reason for v in (left, right) if isinstance(v, Unknown)), "a comparison of pointers"))
    predicate = operation.words[0]
    if predicate in ("ult", "ule", "ugt", "uge"):
        if not (is_nonnegative(left) and is_nonnegative(right)):
            return Undecided(f"an unsigned comparison of numbers of unknown sign at {operation.location}")
        predicate = "s" + predicate[1:]
    return _comparison(predicate, left, right)


def _comparison(predicate: str, left: Poly, right: Poly) -> Condition:
    if predicate == "eq":
        return equal(left, right)
    if predicate == "ne":
        return negation(equal(left, right))
    if predicate in ("slt", "sle"):
        left, right = right, left
    return at_least(left, right if predicate in ("sge", "sle") else right + 1)


@value_rule("arith.select")
def _select(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    condition, yes, no = operands
    return select(as_condition(condition), yes, no)


@value_rule("tt.ptr_to_int", "tt.int_to_ptr")
def _address(operation: Operation, operands: tuple[Symbolic, ...]) -> Symbolic:
    return operands[0] if isinstance(operands[0], PointerTo) else Unknown(f"an address made at {operation.location}")
