"""Matrix products: 2·m·k·n FLOPs for an m×k by k×n product (one multiply and one add per term)."""

import sympy as sp

from tfcost.derive.rules.registry import ZERO, Amounts, Call, rule


def _product(call: Call, left: int, right: int) -> sp.Expr:
    """2 × (elements of the left operand) × (columns of the right one), batched or not."""
    a, b = call.args[left], call.args[right]
    return 2 * call.numel(a) * call.shape(b)[-1]


@rule("aten.mm", "aten.bmm")
def _mm(call: Call) -> Amounts:
    return Amounts(matmul_flops=_product(call, 0, 1))


@rule("aten.addmm", "aten.baddbmm")
def _addmm(call: Call) -> Amounts:
    # The bias is added once per output element, in the product's epilogue.
    return Amounts(matmul_flops=_product(call, 1, 2), scalar_flops=call.numel(call.outputs[0]))


@rule("aten.mv")
def _mv(call: Call) -> Amounts:
    return Amounts(matmul_flops=2 * call.numel(call.args[0]))


@rule("aten.dot")
def _dot(call: Call) -> Amounts:
    return Amounts(matmul_flops=2 * call.numel(call.args[0]))


@rule("aten.addmv")
def _addmv(call: Call) -> Amounts:
    return Amounts(matmul_flops=2 * call.numel(call.args[1]), scalar_flops=call.numel(call.outputs[0]))


@rule("aten.convolution")
def _convolution(call: Call) -> Amounts:
    # Every output element is a dot product over the weight's trailing sizes: input channels per group × kernel.
    # Transposed, every input element is multiplied by that much of the weight: output channels per group × kernel.
    inputs, weight, bias, transposed = call.args[0], call.args[1], call.args[2], call.args[6]
    output = call.numel(call.outputs[0])
    terms = (call.numel(inputs) if transposed else output) * sp.Mul(*call.shape(weight)[1:])
    return Amounts(matmul_flops=2 * terms, scalar_flops=output if bias is not None else ZERO)
