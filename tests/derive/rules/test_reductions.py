"""Arithmetic along rows (reductions, softmax, norms) against formulas for one row that count their operations."""

import math
from functools import reduce
from operator import mul

import pytest
import torch
import torch.nn.functional as F
from derive.rules.counting import Number, add_up, counted, exp, largest, log, plain, sqrt
from derive.rules.filing import Function, records, total

from tfcost.derive.rules import Call, registry
from tfcost.derive.sizes import Sizes

aten = torch.ops.aten


def softmax(x: list[Number]) -> list[Number]:
    top = largest(x)
    powers = [exp(a - top) for a in x]
    whole = add_up(powers)
    return [a / whole for a in powers]


def log_softmax(x: list[Number]) -> list[Number]:
    top = largest(x)
    moved = [a - top for a in x]
    whole = log(add_up([exp(a) for a in moved]))
    return [a - whole for a in moved]


def softmax_backward(g: list[Number], y: list[Number]) -> list[Number]:
    whole = add_up([a * b for a, b in zip(g, y, strict=True)])
    return [b * (a - whole) for a, b in zip(g, y, strict=True)]


def log_softmax_backward(g: list[Number], y: list[Number]) -> list[Number]:
    whole = add_up(g)
    return [a - exp(b) * whole for a, b in zip(g, y, strict=True)]


def log_sum_exp(x: list[Number]) -> list[Number]:
    top = largest(x)
    return [log(add_up([exp(a - top) for a in x])) + top]


def spread(x: list[Number]) -> tuple[Number, Number]:
    mean = add_up(x) / len(x)
    differences = [a - mean for a in x]
    return mean, add_up([a * a for a in differences])


def layer_norm(x: list[Number], weight: list[Number], bias: list[Number]) -> list[Number]:
    mean, squares = spread(x)
    scale = 1 / sqrt(squares / len(x) + 1e-5)
    return [(a - mean) * scale * w + b for a, w, b in zip(x, weight, bias, strict=True)]


def layer_norm_backward(g: list[Number], x: list[Number], weight: list[Number]) -> list[Number]:
    """The input's gradient of one row, and in the sums what the row adds to those of weight and bias."""
    values = [plain(a) for a in x]
    mean = sum(values) / len(values)
    scale = 1 / math.sqrt(sum((a - mean) ** 2 for a in values) / len(values) + 1e-5)
    normal = [(a - mean) * scale for a in x]
    scaled = [a * w for a, w in zip(g, weight, strict=True)]
    first = add_up(scaled) / len(x)
    second = add_up([a * b for a, b in zip(scaled, normal, strict=True)]) / len(x)
    result = [(a - first - b * second) * scale for a, b in zip(scaled, normal, strict=True)]
    _ = [Number(0.0) + a * b for a, b in zip(g, normal, strict=True)], [Number(0.0) + a for a in g]
    return result


def real_layer_norm_backward(g: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    mean, scale = x.mean(-1, keepdim=True), (x.var(-1, unbiased=False, keepdim=True) + 1e-5) ** -0.5
    return aten.native_layer_norm_backward(g, x, [x.shape[-1]], mean, scale, weight, weight, [True] * 3)[0]


def rms_norm(x: list[Number], weight: list[Number]) -> list[Number]:
    scale = 1 / sqrt(add_up([a * a for a in x]) / len(x) + 1e-5)
    return [a * scale * w for a, w in zip(x, weight, strict=True)]


def rms_norm_backward(g: list[Number], x: list[Number], weight: list[Number]) -> list[Number]:
    """The input's gradient of one row, and in the sum what the row adds to the weight's."""
    scale = 1 / math.sqrt(sum(plain(a) ** 2 for a in x) / len(x) + 1e-5)
    normal = [a * scale for a in x]
    scaled = [a * w for a, w in zip(g, weight, strict=True)]
    mean = add_up([a * b for a, b in zip(scaled, normal, strict=True)]) / len(x)
    _ = [Number(0.0) + a * b for a, b in zip(g, normal, strict=True)]
    return [(a - b * mean) * scale for a, b in zip(scaled, normal, strict=True)]


# Operation's name, how to call it, the same written out for one row.
ROWS: list[tuple[str, Function, int, Function]] = [
    ("sum", lambda x: x.sum(-1), 1, lambda x: [add_up(x)]),
    ("mean", lambda x: x.mean(-1), 1, lambda x: [add_up(x) / len(x)]),
    ("amax", lambda x: x.amax(-1), 1, lambda x: [largest(x)]),
    ("prod", lambda x: x.prod(-1), 1, lambda x: [reduce(mul, x, Number(1.0))]),
    ("cumsum", lambda x: x.cumsum(-1), 1, lambda x: [total := Number(0.0), *[total := total + a for a in x]][1:]),
    ("var", lambda x: x.var(-1), 1, lambda x: [spread(x)[1] / (len(x) - 1)]),
    ("linalg_vector_norm", lambda x: x.norm(dim=-1), 1, lambda x: [sqrt(add_up([a * a for a in x]))]),
    ("logsumexp", lambda x: x.logsumexp(-1), 1, log_sum_exp),
    ("_softmax", lambda x: x.softmax(-1), 1, softmax),
    ("_log_softmax", lambda x: x.log_softmax(-1), 1, log_softmax),
    ("_softmax_backward_data", lambda g, y: aten._softmax_backward_data(g, y, -1, y.dtype), 2, softmax_backward),
    ("_log_softmax_backward_data", lambda g, y: aten._log_softmax_backward_data(g, y, -1, y.dtype), 2,
     log_softmax_backward),
    ("native_layer_norm", lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b), 3, layer_norm),
    ("native_layer_norm_backward", real_layer_norm_backward, 3, layer_norm_backward),
    ("_safe_softmax", lambda x: aten._safe_softmax(x, -1), 1, softmax),
]  # fmt: skip
# How many arguments have rows; the others are weights.
WITH_ROWS = {"native_layer_norm": 1, "native_layer_norm_backward": 2}


@pytest.mark.parametrize(("name", "function", "arguments", "formula"), ROWS)
def test_arithmetic_along_rows(name: str, function: Function, arguments: int, formula: Function) -> None:
    """Per element of a row; what a row costs once is left out on both sides."""
    generator = torch.Generator().manual_seed(2)
    operations = []
    for width in (6, 12):
        rows = [torch.rand(width, generator=generator, dtype=torch.float64) + 0.1 for _ in range(arguments)]
        result, count = counted(formula, *([Number(value) for value in row.tolist()] for row in rows))
        rows_end = WITH_ROWS.get(name, arguments)
        real = function(*(row[None] for row in rows[:rows_end]), *rows[rows_end:])
        expected = torch.tensor([plain(value) for value in result], dtype=torch.float64)
        assert torch.allclose(real.flatten(), expected, atol=1e-6)
        operations.append(count)
    rows_end = WITH_ROWS.get(name, arguments)
    shapes = ["5,d"] * rows_end + ["d"] * (arguments - rows_end)
    found = [r for r in records(function, *shapes, sizes=("d",)) if r.name == f"aten.{name}"]
    assert len(found) == 1
    per_row = total(found, "scalar_flops", d=12) - total(found, "scalar_flops", d=6)
    assert per_row == 5 * (operations[1] - operations[0])


def test_rms_norm() -> None:
    """Only a GPU has these two as operations: the rules are asked directly, torch's autograd gives the values."""
    sizes = Sizes((), torch.float64)
    operations, ruled = [], []
    for width in (6, 12):
        x, weight, gradient = (torch.rand(*shape, width, dtype=torch.float64) + 0.1 for shape in ((1,), (), (1,)))
        x.requires_grad_()
        result = F.rms_norm(x, [width], weight, 1e-5)
        result.backward(gradient)
        numbers = [[Number(value) for value in tensor.flatten().tolist()] for tensor in (gradient, x, weight)]
        forward, count = counted(rms_norm, *numbers[1:])
        assert [plain(number) for number in forward] == pytest.approx(result.flatten().tolist())
        backward, more = counted(rms_norm_backward, *numbers)
        assert x.grad is not None
        assert [plain(number) for number in backward] == pytest.approx(x.grad.flatten().tolist())
        operations.append((count, more))
        calls = (
            Call(aten._fused_rms_norm.default, (x, [width], weight, 1e-5), {}, (result, x[:, :1]), sizes),
            Call(aten._fused_rms_norm_backward.default, (gradient, x, [width], x[:, :1], weight, [True, True]), {},
                 (x, weight), sizes),
        )  # fmt: skip
        ruled.append([registry.amounts_of(call, "").scalar_flops for call in calls])
    for position in (0, 1):
        assert ruled[1][position] - ruled[0][position] == operations[1][position] - operations[0][position]


def test_what_a_row_costs_once() -> None:
    """A division for the mean; a logarithm and an addition for log-sum-exp; a root for the norm."""
    for function, once in ((lambda x: x.mean(-1), 1), (lambda x: x.logsumexp(-1), 2), (lambda x: x.norm(dim=-1), 1)):
        found = records(function, "5,d", sizes=("d",))
        assert 2 * total(found, "scalar_flops", d=10) - total(found, "scalar_flops", d=20) == 5 * once
