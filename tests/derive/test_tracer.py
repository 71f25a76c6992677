"""What the tracer files for views, in-place operations and parts of tensors, counted by hand; what it refuses."""

import gc
import sysconfig
from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp
import torch
from derive.small import check_against_torch, forward, peak, subject, total, value

from tfcost.derive import labels
from tfcost.derive.errors import DerivationError, UnknownOperation
from tfcost.derive.sizes import ELEMENT, size_symbol
from tfcost.derive.trace import trace_backward
from tfcost.steps import step

Function = Callable[..., Any]

VIEWS: list[Function] = [
    lambda x: x.t(),
    lambda x: x.view(-1),
    lambda x: x.reshape(-1, 1),
    lambda x: x[1:, :3],
    lambda x: x[..., 0],
    lambda x: x.unsqueeze(0).transpose(0, 1),
    lambda x: x.select(0, 1),
    lambda x: x.narrow(0, 1, 2),
    lambda x: x[:, :6].split(2, 1),
    lambda x: x[:3].unbind(0),
    lambda x: x.expand(4, *x.shape),
    lambda x: x.detach(),
    lambda x: x.diagonal(),
    lambda x: x.permute(1, 0).unflatten(0, (1, -1)),
    lambda x: x.as_strided((2, 2), (1, 1)),
    lambda x: x[None].squeeze_(0),
    lambda x: x[:].unsqueeze_(0),
    lambda x: x[:].t_(),
    lambda x: x[:].transpose_(0, 1),
    lambda x: torch.chunk(x, 1)[0],
    lambda x: x,
    lambda x: (x, [x.t(), {"more": x[0]}]),
]


@pytest.mark.parametrize("function", VIEWS)
def test_views_and_results_that_are_arguments_cost_nothing(function: Function) -> None:
    trace = forward(function, "n,d")
    assert trace.records == ()
    assert trace.unique_bytes == 0
    assert peak(trace) == 5 * 8 * 4


def test_an_expanded_operand_is_read_once() -> None:
    trace = forward(lambda x, y: x + y.expand(x.shape), "n,d", "d")
    assert total(trace, "read_bytes") == (5 * 8 + 8) * 4
    assert total(trace, "write_bytes") == 5 * 8 * 4
    assert total(trace, "scalar_flops") == 5 * 8
    assert value(trace.unique_bytes) == (5 * 8 + 8 + 5 * 8) * 4
    trace = forward(lambda x: x.expand(3, *x.shape).contiguous(), "n,d")
    assert (total(trace, "read_bytes"), total(trace, "write_bytes")) == (5 * 8 * 4, 3 * 5 * 8 * 4)
    check_against_torch(lambda x, y: x * y.expand(x.shape), "n,d", "d")


def test_an_operand_that_is_there_twice_is_read_once() -> None:
    trace = forward(lambda x: x * x, "n,d")
    assert total(trace, "read_bytes") == 5 * 8 * 4
    # Two orders of the same elements are two reads, of bytes that are one set.
    trace = forward(lambda x: x @ x.t(), "n,d")
    assert total(trace, "read_bytes") == 2 * 5 * 8 * 4
    assert value(trace.unique_bytes) == (5 * 8 + 5 * 5) * 4


def test_in_place_operations_take_no_memory() -> None:
    trace = forward(lambda x, y: x.add_(y), "n,d", "n,d")
    assert total(trace, "read_bytes") == 2 * 5 * 8 * 4
    assert total(trace, "write_bytes") == 5 * 8 * 4
    assert peak(trace) == 2 * 5 * 8 * 4
    # Written twice, but the same bytes.
    trace = forward(lambda x: x.mul_(2).add_(1), "n,d")
    assert total(trace, "write_bytes") == 2 * 5 * 8 * 4
    assert value(trace.unique_bytes) == (5 * 8 + 5 * 8) * 4
    check_against_torch(lambda x: x.mul_(2).add_(1), "n,d", backward=False)
    check_against_torch(lambda x: (x * 2).mul_(3).relu_(), "n,d")


def test_an_output_that_is_given() -> None:
    trace = forward(lambda x, y, z: torch.add(x, y, out=z), "n,d", "n,d", "n,d")
    assert total(trace, "read_bytes") == 2 * 5 * 8 * 4
    assert total(trace, "write_bytes") == 5 * 8 * 4
    assert value(trace.unique_bytes) == 3 * 5 * 8 * 4
    assert peak(trace) == 3 * 5 * 8 * 4
    check_against_torch(lambda x, y, z: torch.add(x, y, out=z), "n,d", "n,d", "n,d", backward=False)


def test_a_slice_written_in_place() -> None:
    def fill(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x[1:, :2] = y[1:, :2]
        return x

    trace = forward(fill, "n,d", "n,d")
    assert total(trace, "read_bytes") == 4 * 2 * 4
    assert total(trace, "write_bytes") == 4 * 2 * 4
    assert value(trace.unique_bytes) == 2 * 4 * 2 * 4


def test_intermediate_results_are_freed() -> None:
    def chain(x: torch.Tensor) -> torch.Tensor:
        for _ in range(4):
            x = x * 2
        return x

    trace = forward(chain, "n,d")
    # The argument, and two of the results at a time.
    assert peak(trace) == 3 * 5 * 8 * 4
    assert value(trace.unique_bytes) == (1 + 4) * 5 * 8 * 4
    check_against_torch(chain, "n,d")


@pytest.mark.parametrize(
    ("function", "elements"),
    [
        (lambda x: x[0] * x[1], 2 * 8),
        (lambda x: x[0] * x[0], 8),
        (lambda x: x[0] + x[1] + x[0] + x[2], 3 * 8),
        (lambda x: x[:2].sum() + x[2:].sum(), 5 * 8),
        (lambda x: x.sum() + x[0].sum(), 5 * 8),
        (lambda x: x.t().sum() + x.sum() + x[1:].sum(), 5 * 8),
        (lambda x: x[:, 0] * x[:, 1], 2 * 5),
    ],
)
def test_unique_bytes_of_parts(function: Function, elements: int) -> None:
    """Of the argument each byte counts once; results of few elements are all written."""
    trace = forward(function, "n,d")
    written = sum(value(record.write_bytes) for record in trace.records)
    assert value(trace.unique_bytes) == 4 * elements + written


def test_constants_of_the_code_are_no_arguments() -> None:
    trace = forward(lambda x: x * torch.tensor(3.0) + torch.arange(x.shape[1]), "n,d")
    assert total(trace, "scalar_flops") == 2 * 5 * 8
    assert trace.given_bytes == ELEMENT * size_symbol("n") * size_symbol("d")


def test_an_operation_without_a_rule_is_named_with_its_line() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        return torch.special.bessel_j0(y)

    line = function.__code__.co_firstlineno + 2
    with pytest.raises(UnknownOperation) as caught:
        forward(function, "n,d")
    assert str(caught.value) == (
        f"tests/derive/test_tracer.py:{line}: no rule for the operation aten.special_bessel_j0.default; its cost is "
        "unknown, not zero"
    )


def test_an_operation_without_a_rule_in_the_backward_pass() -> None:
    with pytest.raises(UnknownOperation, match=r"test_tracer\.py:\d+: no rule for the operation aten\."):
        trace_backward(subject(lambda x: torch.logcumsumexp(x, 0), "n,d"), torch.float32, "cpu")


WEIGHT = torch.ones(3)


def test_a_tensor_from_elsewhere_is_refused() -> None:
    with pytest.raises(DerivationError, match=r"test_tracer\.py:\d+: aten.add uses a tensor of shape \[3\]"):
        forward(lambda x: x[:, :3] + WEIGHT, "n,d")


def test_a_trace_that_converts_holds_for_its_own_dtype() -> None:
    assert forward(lambda x: x * 2, "n,d").any_width
    assert not forward(lambda x: x.double() * 2, "n,d").any_width
    trace = forward(lambda x: x.float() * 2, "n,d", dtype=torch.bfloat16)
    assert not trace.any_width
    (convert, _) = trace.records
    # Two bytes an element are read, four written.
    assert (convert.read_bytes.xreplace({ELEMENT: sp.Integer(2)}) * 2 - convert.write_bytes) == 0


def test_garbage_collection_is_on_again_afterwards() -> None:
    def fails(x: torch.Tensor) -> torch.Tensor:
        assert not gc.isenabled()
        raise ValueError

    assert gc.isenabled()
    with pytest.raises(DerivationError):
        forward(fails, "n,d")
    assert gc.isenabled()


def test_whose_lines_operations_are_told_by(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [__file__, "/home/me/model.py", labels.__file__.replace("derive/labels.py", "techniques/ffn.py")]
    others = [torch.__file__, labels.__file__, sysconfig.__file__, "<frozen importlib>"]
    triton = pytest.importorskip("triton")
    assert all(labels.is_user_file(path) for path in own)
    assert not any(labels.is_user_file(path) for path in (*others, triton.__file__))
    # Without a virtual environment packages are installed inside the standard library's folder.
    folder = sysconfig.get_paths()["stdlib"]
    monkeypatch.setattr(labels, "_INSTALLED", (f"{folder}/site-packages/",))
    assert labels.is_user_file(f"{folder}/site-packages/tfcost/techniques/ffn.py")
    assert not labels.is_user_file(f"{folder}/functools.py")


def test_the_gradient_of_a_gather_is_added_to_its_zeros_in_place() -> None:
    function = lambda x, y: x.gather(0, y).sin()  # noqa: E731
    check_against_torch(function, "n,d", "n,d:index")
    names = [record.name for record in trace_backward(subject(function, "n,d", "n,d:index"), torch.float32).records]
    assert "aten.scatter_add_" in names
    assert "aten.scatter_add" not in names


class Doubled(torch.autograd.Function):
    """2·x, in a function of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x + x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient + gradient


def test_the_backward_pass_of_a_custom_function_belongs_to_its_own_step() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        with step("before"):
            x = x.exp()
        with step("doubled"):
            x = Doubled.apply(x)
        with step("after"):
            return x.sin()

    kept = torch.autograd.Function.apply
    backward = trace_backward(subject(function, "n,d"), torch.float32)
    assert {record.label.step for record in backward.records if record.name == "aten.add"} == {"doubled"}
    assert {record.label.step for record in backward.records} == {"after", "doubled", "before"}
    assert torch.autograd.Function.apply == kept
