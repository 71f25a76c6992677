"""What each TTIR operation costs: one rule per operation; an operation without one raises `UnknownOperation`.

A rule returns a `Charge`: so much per active lane of a shape. Bytes are those of lanes whose mask holds. Arithmetic
is one per element and floating-point operation (a fused multiply-add two). Integers are addresses and masks: their
arithmetic, like comparing, choosing, converting and rearranging, is free by name in `FREE`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tfcost.derive.integers.poly import Poly
from tfcost.derive.ttir.conditions import TRUE, Condition, Undecided, at_least, both
from tfcost.derive.ttir.errors import KernelError, unknown_operation
from tfcost.derive.ttir.evaluate import Evaluator
from tfcost.derive.ttir.lanes import lane
from tfcost.derive.ttir.symbols import Box, Symbolic, Unknown, as_condition
from tfcost.derive.ttir.tree import Operation, operations_in


@dataclass(frozen=True, slots=True)
class Charge:
    """`per_lane` FLOPs or bytes for each lane of `shape` on which `mask` holds; `target` is the memory touched."""

    kind: str
    per_lane: int
    shape: tuple[int, ...] = ()
    mask: Condition = TRUE
    target: Symbolic | None = None


CostRule = Callable[[Operation, Evaluator], Charge]
_RULES: dict[str, CostRule] = {}


def _operations(dialect: str, names: str) -> frozenset[str]:
    return frozenset(f"{dialect}.{name}" for name in names.split())


_ONE_PER_ELEMENT = (
    _operations("arith", "addf subf mulf divf remf negf maximumf minimumf maxnumf minnumf")
    | _operations("tt", "precise_sqrt precise_divf approx_divf extern_elementwise")
    | _operations("math", "absf cbrt ceil copysign erf erfc exp exp2 expm1 floor fpowi log log10 log1p log2 powf")
    | _operations("math", "round roundeven rsqrt sqrt trunc")
    | _operations("math", "acos acosh asin asinh atan atan2 atanh cos cosh sin sinh tan tanh")
)

# Floating-point operations per element: a fused multiply-add is two, a clamp a maximum and a minimum.
ARITHMETIC: dict[str, int] = {**dict.fromkeys(_ONE_PER_ELEMENT, 1), "math.fma": 2, "tt.clampf": 2}

# Operations that compute no floating-point result.
FREE = (
    # Integer arithmetic: addresses and masks.
    _operations(
        "arith", "addi subi muli divsi divui remsi remui ceildivsi ceildivui floordivsi minsi minui maxsi maxui"
    )
    | _operations("arith", "andi ori xori shli shrsi shrui addui_extended subui_extended mulsi_extended mului_extended")
    | _operations("math", "absi ctlz ctpop cttz ipowi")
    | _operations("tt", "mulhiui addptr make_range get_program_id get_num_programs make_tensor_descriptor")
    # Comparing and choosing.
    | _operations("arith", "cmpi cmpf select")
    | _operations("math", "isfinite isinf isnan isnormal")
    # Constants and conversions.
    | _operations("arith", "constant extsi extui trunci index_cast index_castui bitcast extf truncf convertf")
    | _operations("arith", "sitofp uitofp fptosi fptoui")
    | _operations("tt", "fp_to_fp bitcast int_to_ptr ptr_to_int")
    # Layout.
    | _operations("tt", "splat unsplat broadcast expand_dims reshape trans join split cat gather")
    # Control, debugging, hints.
    | _operations("tt", "return reduce.return scan.return assert print")
    | _operations("scf", "yield condition")
    | _operations("cf", "br cond_br")
    | {"gpu.barrier", "ttg.barrier", "ub.poison", "llvm.intr.assume"}
)


def cost_rule(*names: str) -> Callable[[CostRule], CostRule]:
    """Registers the rule for operations called `names`. A second rule for one name raises."""

    def register(function: CostRule) -> CostRule:
        for name in names:
            if name in _RULES or name in ARITHMETIC or name in FREE:
                raise ValueError(f"two cost rules for {name}")
            _RULES[name] = function
        return function

    return register


def charge_of(operation: Operation, evaluator: Evaluator) -> Charge | None:
    """What one execution of the operation costs; None for a free one. Raises `UnknownOperation`."""
    if operation.name in FREE:
        return None
    if operation.name in ARITHMETIC:
        result = operation.result.type
        return Charge("scalar", ARITHMETIC[operation.name], result.shape) if result.is_float else None
    rule = _RULES.get(operation.name)
    if rule is None:
        raise unknown_operation(operation)
    return rule(operation, evaluator)


@cost_rule("tt.dot")
def _dot(operation: Operation, evaluator: Evaluator) -> Charge:
    """[batch,] M x K times K x N: 2*K per element of the result."""
    return Charge("dot", 2 * operation.operands[0].type.shape[-1], operation.result.type.shape)


def _access(kind: str, operation: Operation, evaluator: Evaluator, mask_position: int) -> Charge:
    pointer = operation.operands[0]
    masked = len(operation.operands) > mask_position
    mask = as_condition(evaluator.value(operation.operands[mask_position])) if masked else TRUE
    return Charge(kind, pointer.type.element_bytes, pointer.type.shape, mask, evaluator.value(pointer))


@cost_rule("tt.load")
def _load(operation: Operation, evaluator: Evaluator) -> Charge:
    return _access("load", operation, evaluator, mask_position=1)


@cost_rule("tt.store")
def _store(operation: Operation, evaluator: Evaluator) -> Charge:
    return _access("store", operation, evaluator, mask_position=2)


@cost_rule("tt.atomic_rmw", "tt.atomic_store")
def _atomic_update(operation: Operation, evaluator: Evaluator) -> Charge:
    """The operand's bytes, once per active lane; the arithmetic is done by the memory system."""
    return _access("atomic", operation, evaluator, mask_position=2)


@cost_rule("tt.atomic_load")
def _atomic_load(operation: Operation, evaluator: Evaluator) -> Charge:
    return _access("atomic", operation, evaluator, mask_position=1)


@cost_rule("tt.atomic_cas")
def _compare_and_swap(operation: Operation, evaluator: Evaluator) -> Charge:
    return _access("atomic", operation, evaluator, mask_position=3)


def _boxed(kind: str, operation: Operation, evaluator: Evaluator, descriptor: int) -> Charge:
    """The part of a descriptor's box, at the given offsets, that lies inside the tensor."""
    box = operation.operands[descriptor]
    tensor = evaluator.value(box)
    if not isinstance(tensor, Box):
        raise KernelError(operation, "the tensor descriptor is not known")
    offsets = [evaluator.value(value) for value in operation.segments[0]]
    shape = box.type.shape
    if len(offsets) != len(shape) or len(tensor.extents) != len(shape):
        raise KernelError(operation, f"{len(offsets)} offsets into a box of {len(shape)} dimensions")
    inside = [
        _inside(offset, lane(axis, size), extent)
        for axis, (offset, size, extent) in enumerate(zip(offsets, shape, tensor.extents, strict=True))
    ]
    return Charge(kind, box.type.element_bytes, shape, both(*inside), tensor)


def _inside(offset: Symbolic, place: Poly, extent: Symbolic) -> Condition:
    if not isinstance(offset, Poly) or not isinstance(extent, Poly):
        return Undecided(next((v.reason for v in (offset, extent) if isinstance(v, Unknown)), "no integer"))
    index = offset + place
    return both(at_least(index, Poly({})), at_least(extent, index + 1))


@cost_rule("tt.descriptor_load")
def _descriptor_load(operation: Operation, evaluator: Evaluator) -> Charge:
    return _boxed("load", operation, evaluator, 0)


@cost_rule("tt.descriptor_store")
def _descriptor_store(operation: Operation, evaluator: Evaluator) -> Charge:
    return _boxed("store", operation, evaluator, 0)


@cost_rule("tt.descriptor_reduce")
def _descriptor_reduce(operation: Operation, evaluator: Evaluator) -> Charge:
    return _boxed("atomic", operation, evaluator, 0)


def _gathered(kind: str, operation: Operation, evaluator: Evaluator) -> Charge:
    """One row of the box per row index: [rows, box width], the rows given by a tensor of indices."""
    tensor = evaluator.value(operation.operands[0])
    if not isinstance(tensor, Box):
        raise KernelError(operation, "the tensor descriptor is not known")
    rows, column = operation.segments[0]
    shape = (rows.type.shape[0], operation.operands[0].type.shape[-1])
    inside = both(
        _inside(evaluator.value(rows), Poly({}), tensor.extents[0]),
        _inside(evaluator.value(column), lane(1, shape[1]), tensor.extents[-1]),
    )
    return Charge(kind, operation.operands[0].type.element_bytes, shape, inside, tensor)


@cost_rule("tt.descriptor_gather")
def _descriptor_gather(operation: Operation, evaluator: Evaluator) -> Charge:
    return _gathered("load", operation, evaluator)


@cost_rule("tt.descriptor_scatter")
def _descriptor_scatter(operation: Operation, evaluator: Evaluator) -> Charge:
    return _gathered("store", operation, evaluator)


@cost_rule("tt.reduce", "tt.scan")
def _reduce(operation: Operation, evaluator: Evaluator) -> Charge:
    """One combination per input element: its arithmetic, at least one for the choice that argmax makes."""
    first = operation.operands[0].type
    if not any(value.type.is_float for value in operation.operands):
        return Charge("scalar", 0, first.shape)
    combined = 0
    for inner in operations_in(operation.regions[0]):
        charge = charge_of(inner, evaluator)
        combined += charge.per_lane if charge is not None else 0
    return Charge("scalar", max(1, combined), first.shape)


@cost_rule("tt.histogram")
def _histogram(operation: Operation, evaluator: Evaluator) -> Charge:
    """Counting integers into bins is integer arithmetic: free, as `FREE` says of all of it."""
    return Charge("scalar", 0, operation.operands[0].type.shape)
