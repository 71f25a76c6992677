"""Elementwise arithmetic against the functions written out, in numbers that count their operations."""

import math

import pytest
import torch
import torch.nn.functional as F
from derive.rules.counting import Number, counted, erf, exp, greater, log, plain, size_of, smaller, tanh
from derive.rules.filing import Function, records, total

aten = torch.ops.aten


def sigmoid(x: Number) -> Number:
    return 1 / (1 + exp(-x))


def gelu_tanh(x: Number) -> Number:
    return x * 0.5 * (1 + tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)))


def gelu_tanh_backward(g: Number, x: Number) -> Number:
    square = x * x
    t = tanh((x + square * x * 0.044715) * math.sqrt(2 / math.pi))
    slope = (1 + square * (3 * 0.044715)) * math.sqrt(2 / math.pi)
    return g * ((1 + t) * 0.5 + x * 0.5 * (1 - t * t) * slope)


def gelu_backward(g: Number, x: Number) -> Number:
    distribution = (1 + erf(x * math.sqrt(0.5))) * 0.5
    density = exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return g * (distribution + x * density)


def silu_backward(g: Number, x: Number) -> Number:
    s = sigmoid(x)
    return g * s * (1 + x * (1 - s))


# Operation, arguments per element, the same written out.
FORMULAS: list[tuple[Function, int, Function]] = [
    (torch.add, 2, lambda a, b: a + b),
    (torch.sub, 2, lambda a, b: a - b),
    (torch.rsub, 2, lambda a, b: b - a),
    (torch.mul, 2, lambda a, b: a * b),
    (torch.div, 2, lambda a, b: a / b),
    (torch.neg, 1, lambda a: -a),
    (torch.abs, 1, size_of),
    (torch.reciprocal, 1, lambda a: 1 / a),
    (torch.exp, 1, exp),
    (torch.tanh, 1, tanh),
    (torch.erf, 1, erf),
    (lambda a: a**2, 1, lambda a: a**2),
    (torch.square, 1, lambda a: a * a),
    (torch.relu, 1, lambda a: greater(a, 0)),
    (torch.maximum, 2, greater),
    (torch.minimum, 2, smaller),
    (lambda a: torch.clamp(a, -0.5, 0.5), 1, lambda a: smaller(greater(a, -0.5), 0.5)),
    (lambda a: torch.clamp_min(a, -0.5), 1, lambda a: greater(a, -0.5)),
    (lambda a, b, c: torch.addcmul(a, b, c, value=3), 3, lambda a, b, c: a + b * c * 3),
    (lambda a, b, c: torch.addcdiv(a, b, c, value=3), 3, lambda a, b, c: a + b / c * 3),
    (torch.lerp, 3, lambda a, b, c: a + c * (b - a)),
    (torch.sigmoid, 1, sigmoid),
    (F.silu, 1, lambda a: a * sigmoid(a)),
    (F.softplus, 1, lambda a: log(1 + exp(a))),
    (F.gelu, 1, lambda a: a * 0.5 * (1 + erf(a * math.sqrt(0.5)))),
    (lambda a: F.gelu(a, approximate="tanh"), 1, gelu_tanh),
    (aten.sigmoid_backward, 2, lambda g, y: g * y * (1 - y)),
    (aten.tanh_backward, 2, lambda g, y: g * (1 - y * y)),
    (aten.silu_backward, 2, silu_backward),
    (lambda g, x: aten.softplus_backward(g, x, 1, 20), 2, lambda g, x: g * sigmoid(x)),
    (aten.gelu_backward, 2, gelu_backward),
    (lambda g, x: aten.gelu_backward(g, x, approximate="tanh"), 2, gelu_tanh_backward),
]


@pytest.mark.parametrize(("function", "arguments", "formula"), FORMULAS)
def test_elementwise_arithmetic(function: Function, arguments: int, formula: Function) -> None:
    generator = torch.Generator().manual_seed(1)
    real = [torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(arguments)]
    values, operations = counted(lambda: [formula(*map(Number, numbers)) for numbers in zip(*(t.flatten().tolist()
                                 for t in real), strict=True)])  # fmt: skip
    assert torch.allclose(function(*real).flatten(), torch.tensor([plain(v) for v in values], dtype=torch.float64))
    found = records(function, *["3,4"] * arguments)
    assert total(found, "scalar_flops") == operations
    assert total(found, "matmul_flops") == 0


# Below zero these compute, above it they choose.
BELOW_ZERO: list[tuple[Function, int, Function]] = [
    (F.elu, 1, lambda a: exp(a) - 1),
    (lambda a: F.leaky_relu(a, 0.1), 1, lambda a: a * 0.1),
    (lambda g, x: aten.elu_backward(g, 1, 1, 1, False, x), 2, lambda g, x: g * exp(x)),
    (lambda g, y: aten.elu_backward(g, 1, 1, 1, True, y), 2, lambda g, y: g * (y + 1)),
    (lambda g, x: aten.leaky_relu_backward(g, x, 0.1, False), 2, lambda g, x: g * 0.1),
    (lambda g, x: aten.threshold_backward(g, x, 0), 2, lambda g, x: 0.0),
]


@pytest.mark.parametrize(("function", "arguments", "formula"), BELOW_ZERO)
def test_arithmetic_below_zero(function: Function, arguments: int, formula: Function) -> None:
    numbers = (-0.75, -0.5)[:arguments]
    (result, operations) = counted(formula, *map(Number, numbers))
    real = function(*(torch.tensor([number], dtype=torch.float64) for number in numbers))
    assert real.item() == pytest.approx(plain(result))
    assert total(records(function, *["1"] * arguments), "scalar_flops") == operations


def test_dropout_multiplies_by_mask_and_scale() -> None:
    (found,) = records(lambda x: aten.native_dropout(x, 0.5, True), "3,4")
    assert found.scalar_flops == 2 * 12
    # The result and a mask of one byte an element are written.
    assert total([found], "write_bytes") == 12 * 4 + 12
    (found,) = records(
        lambda g, mask: aten.native_dropout_backward(g, mask, 2.0), "3,4", "3,4", dtypes=[None, torch.bool]
    )
    assert found.scalar_flops == 2 * 12
    assert total([found], "read_bytes") == 12 * 4 + 12


def test_integers_and_booleans_are_no_floating_point_work() -> None:
    found = records(lambda a: (a * 3 + 1) % 5, "4,5", dtypes=[torch.int64])
    assert total(found, "scalar_flops") == 0
    assert total(found, "read_bytes") == 3 * 20 * 8
    assert total(records(lambda a: a.sum(), "4,5", dtypes=[torch.int64]), "scalar_flops") == 0
    found = records(lambda a, b: torch.where(a > b, a, b), "4,5", "4,5")
    assert total(found, "scalar_flops") == 0
    # The comparison reads two tensors and writes booleans; the choice reads all three.
    assert total(found, "read_bytes") == 2 * 80 + (20 + 2 * 80)
    assert total(found, "write_bytes") == 20 + 80
