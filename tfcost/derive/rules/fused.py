"""Torch's own fused attention. What happens inside is not traced: products by their shapes, softmax as if written out,
inputs read and outputs written once. A causal call is counted whole, as the kernels' padding of tiles is not known.
"""

import sympy as sp

from tfcost.derive.rules.registry import Amounts, Call, rule


def _sizes(call: Call, first: int) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """How many scores there are, the width of queries and keys, and that of values."""
    q, k, v = (call.shape(tensor) for tensor in call.args[first : first + 3])
    return sp.Mul(*q[:-1], k[-2]), q[-1], v[-1]


@rule("aten._scaled_dot_product_flash_attention_for_cpu", "aten._scaled_dot_product_flash_attention",
      "aten._scaled_dot_product_efficient_attention", "aten._scaled_dot_product_cudnn_attention")  # fmt: skip
def _attention(call: Call) -> Amounts:
    scores, width, value_width = _sizes(call, 0)
    # Scale; then max, subtract, exp, sum, divide as in softmax.
    return Amounts(matmul_flops=2 * scores * (width + value_width), scalar_flops=6 * scores)


@rule("aten._scaled_dot_product_flash_attention_for_cpu_backward",
      "aten._scaled_dot_product_flash_attention_backward")  # fmt: skip
def _attention_backward(call: Call) -> Amounts:
    scores, width, value_width = _sizes(call, 1)
    # Scores again, dP, dV, dQ, dK. Per score: scale, subtract, exp, and (dP - Δ)·P, scaled; Δ is the sum of o·dO.
    products = 3 * width + 2 * value_width
    return Amounts(matmul_flops=2 * scores * products, scalar_flops=6 * scores + 2 * call.numel(call.args[0]))
