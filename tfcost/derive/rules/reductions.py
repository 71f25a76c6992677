"""Reductions, softmax, normalisation and losses: one FLOP per operation and input element, written out per rule."""

import sympy as sp

from tfcost.derive.rules.registry import Amounts, Call, rule


def _per_input(call: Call, times: int = 1) -> sp.Expr:
    tensor = call.inputs[0]
    return times * call.numel(tensor) if tensor.dtype.is_floating_point else sp.Integer(0)


@rule("aten.sum", "aten.amax", "aten.amin", "aten.max", "aten.min", "aten.argmax", "aten.argmin", "aten.prod",
      "aten.cumsum", "aten.cummax", "aten.cumprod", "aten.any", "aten.all")  # fmt: skip
def _reduction(call: Call) -> Amounts:
    return Amounts(scalar_flops=_per_input(call))


@rule("aten.mean")
def _mean(call: Call) -> Amounts:
    # A sum, then one division per result.
    return Amounts(scalar_flops=_per_input(call) + call.numel(call.outputs[0]))


@rule("aten.var", "aten.var_mean", "aten.std")
def _moments(call: Call) -> Amounts:
    # Mean, difference, square, sum: four per element.
    return Amounts(scalar_flops=_per_input(call, 4))


@rule("aten.linalg_vector_norm")
def _vector_norm(call: Call) -> Amounts:
    # A power and a sum; a root per result.
    return Amounts(scalar_flops=_per_input(call, 2) + call.numel(call.outputs[0]))


@rule("aten.logsumexp")
def _logsumexp(call: Call) -> Amounts:
    # max, subtract, exp, sum per element; a logarithm and an addition per result.
    return Amounts(scalar_flops=_per_input(call, 4) + 2 * call.numel(call.outputs[0]))


@rule("aten._softmax", "aten._safe_softmax", "aten._log_softmax")
def _softmax(call: Call) -> Amounts:
    # max, subtract, exp, sum, divide (log-softmax: subtract the logarithm instead).
    return Amounts(scalar_flops=_per_input(call, 5))


@rule("aten._softmax_backward_data")
def _softmax_backward(call: Call) -> Amounts:
    # y·(g - Σ g·y): multiply, sum, subtract, multiply.
    return Amounts(scalar_flops=_per_input(call, 4))


@rule("aten._log_softmax_backward_data")
def _log_softmax_backward(call: Call) -> Amounts:
    # g - exp(y)·Σ g: sum, exp, multiply, subtract.
    return Amounts(scalar_flops=_per_input(call, 4))


@rule("aten.native_layer_norm")
def _layer_norm(call: Call) -> Amounts:
    # mean 1, variance 3 (subtract, square, sum), normalise 2, scale and shift 2.
    return Amounts(scalar_flops=_per_input(call, 8))


@rule("aten.native_layer_norm_backward")
def _layer_norm_backward(call: Call) -> Amounts:
    # x̂ 2 (recomputed), g·weight 1, its mean 1, g·weight·x̂ 1 and its mean 1, the input's gradient 4, the weight's
    # gradient 2 (multiply, sum), the bias's 1.
    return Amounts(scalar_flops=_per_input(call, 13))


@rule("aten._fused_rms_norm")
def _rms_norm(call: Call) -> Amounts:
    # square, sum, multiply by the reciprocal root, scale.
    return Amounts(scalar_flops=_per_input(call, 4))


@rule("aten._fused_rms_norm_backward")
def _rms_norm_backward(call: Call) -> Amounts:
    # x̂ 1, g·weight 1, g·weight·x̂ 1 and its mean 1, the input's gradient 3, the weight's gradient 2.
    return Amounts(scalar_flops=_per_input(call, 9))


@rule("aten.nll_loss_forward")
def _nll_loss(call: Call) -> Amounts:
    # One picked element per row, summed; rows that are not picked are not read.
    rows = call.numel(call.args[1])
    picked = rows * (call.sizes.element_bytes(call.args[0]) + call.args[1].element_size())
    return Amounts(scalar_flops=rows, read_bytes=picked)


@rule("aten.nll_loss_backward")
def _nll_loss_backward(call: Call) -> Amounts:
    # One value per row is set in a gradient of zeros.
    target = call.args[2]
    return Amounts(scalar_flops=call.numel(target), read_bytes=call.numel(target) * target.element_size())
