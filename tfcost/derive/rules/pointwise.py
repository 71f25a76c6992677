"""Elementwise arithmetic: one FLOP per arithmetic operation or transcendental and output element.

The table counts each function as it is written out in its comment. Integer and boolean arithmetic is index
computation, not FLOPs: its bytes count, its arithmetic does not.
"""

from tfcost.derive.rules.registry import ZERO, Amounts, Call, operation_name, rule

PER_ELEMENT: dict[str, int] = {
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div", "neg", "reciprocal", "abs", "sign", "fmod", "remainder"), 1),
    **dict.fromkeys(("maximum", "minimum", "clamp_min", "clamp_max", "relu", "floor", "ceil", "round", "trunc"), 1),
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "pow"), 1),
    **dict.fromkeys(("sin", "cos", "tan", "tanh", "erf", "erfc", "atan2", "asin", "acos", "atan", "sinh", "cosh"), 1),
    "square": 1,
    "clamp": 2,  # max, min
    "addcmul": 3,  # value·a·b + input
    "addcdiv": 3,  # value·a/b + input
    "lerp": 3,  # start + weight·(end - start)
    "sigmoid": 4,  # 1/(1 + exp(-x))
    "silu": 5,  # x·sigmoid(x)
    "elu": 2,  # exp(x) - 1 below zero
    "softplus": 3,  # log(1 + exp(x))
    "leaky_relu": 1,  # slope·x below zero
    "gelu": 5,  # x/2·(1 + erf(x/√2)); the tanh form is counted by its own rule
    "sigmoid_backward": 3,  # g·y·(1 - y)
    "tanh_backward": 3,  # g·(1 - y²)
    "silu_backward": 9,  # g·s·(1 + x·(1 - s)) with s = sigmoid(x)
    "elu_backward": 2,  # g·exp(x) below zero, or g·(y + 1)
    "softplus_backward": 5,  # g·sigmoid(x)
    "leaky_relu_backward": 1,
    "threshold_backward": 0,  # a selection: the gradient or zero
    "gelu_backward": 11,  # g·(Φ(x) + x·φ(x)): 4 for Φ, 4 for φ, 3 to join
}

# gelu's tanh approximation: x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
_GELU_TANH, _GELU_TANH_BACKWARD = 9, 18


def _is_float(call: Call) -> bool:
    return bool(call.outputs) and call.outputs[0].dtype.is_floating_point


@rule(*(f"aten.{name}" for name in PER_ELEMENT), *(f"aten.{name}_" for name in PER_ELEMENT))
def _pointwise(call: Call) -> Amounts:
    name = operation_name(call.func).removeprefix("aten.").removesuffix("_")
    per_element = PER_ELEMENT[name]
    if name.startswith("gelu") and call.kwargs.get("approximate") == "tanh":
        per_element = _GELU_TANH_BACKWARD if name.endswith("backward") else _GELU_TANH
    if not _is_float(call):
        return Amounts()
    return Amounts(scalar_flops=per_element * call.numel(call.outputs[0]))


@rule(
    *(f"aten.{name}" for name in ("eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "where")),
    *(f"aten.{name}" for name in ("logical_and", "logical_or", "logical_not", "logical_xor")),
    *(f"aten.{name}" for name in ("bitwise_and", "bitwise_or", "bitwise_not", "bitwise_xor")),
    *(f"aten.{name}" for name in ("masked_fill", "masked_fill_", "floor_divide", "tril", "triu", "tril_", "triu_")),
)
def _selection(call: Call) -> Amounts:
    # Comparing and choosing moves bytes and computes nothing.
    return Amounts(scalar_flops=ZERO)


@rule("aten.native_dropout")
def _native_dropout(call: Call) -> Amounts:
    # x·mask·scale; drawing the random mask is not counted as arithmetic.
    return Amounts(scalar_flops=2 * call.numel(call.outputs[0]))


@rule("aten.native_dropout_backward")
def _native_dropout_backward(call: Call) -> Amounts:
    return Amounts(scalar_flops=2 * call.numel(call.outputs[0]))
