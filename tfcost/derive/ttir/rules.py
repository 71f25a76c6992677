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

# Floating-point arithmetic: operations per element.
ARITHMETIC: dict[str, int] = {
    **dict.fromkeys(("arith.addf", "arith.subf", "arith.mulf", "arith.divf", "arith.remf", "arith.negf"), 1),
    **dict.fromkeys(("arith.maximumf", "arith.minimumf", "arith.maxnumf", "arith.minnumf"), 1),
    **dict.fromkeys(("tt.precise_sqrt", "tt.precise_divf", "tt.approx_divf", "tt.extern_elementwise"), 1),
    **{
        f"math.{name}": 1
        for name in (
            "absf acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 floor "
            "fpowi log log10 log1p log2 powf round roundeven rsqrt sin sinh sqrt tan tanh trunc"
        ).split()
    },
    "math.fma": 2,
    "tt.clampf": 2,  # a maximum and a minimum
}

# Operations that compute no floating-point result: addresses, masks, conversions, layout, control.
FREE = frozenset(
    """
    arith.addi arith.subi arith.muli arith.divsi arith.divui arith.remsi arith.remui arith.ceildivsi arith.ceildivui
    arith.floordivsi arith.minsi arith.minui arith.maxsi arith.maxui arith.andi arith.ori arith.xori arith.shli
    arith.shrsi arith.shrui arith.addui_extended arith.subui_extended arith.mulsi_extended arith.mului_extended
    tt.mulhiui math.absi math.ctlz math.ctpop math.cttz math.ipowi
    arith.cmpi arith.cmpf arith.select math.isfinite math.isinf math.isnan math.isnormal
    arith.constant arith.extsi arith.extui arith.trunci arith.index_cast arith.index_castui arith.bitcast
    arith.extf arith.truncf arith.convertf arith.sitofp arith.uitofp arith.fptosi arith.fptoui
    tt.fp_to_fp tt.bitcast tt.int_to_ptr tt.ptr_to_int tt.addptr
    tt.make_range tt.splat tt.unsplat tt.broadcast tt.expand_dims tt.reshape tt.trans tt.join tt.split tt.cat tt.gather
    tt.get_program_id tt.get_num_programs tt.make_tensor_descriptor tt.assert tt.print
    gpu.barrier ttg.barrier ub.poison llvm.intr.assume
    tt.return tt.reduce.return tt.scan.return scf.yield scf.condition cf.br cf.cond_br
    """.split()
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
