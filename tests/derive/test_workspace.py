"""Memory that a GPU's kernels take unseen: while which operation, how much, and that it is told."""

import pytest
import sympy as sp
import torch

from tfcost.derive.sizes import ELEMENT, size_symbol
from tfcost.derive.subject import Subject, Tensor
from tfcost.derive.trace import PassTrace, trace_backward, trace_forward
from tfcost.derive.workspace import DTYPES, RULES

n, d = size_symbol("n"), size_symbol("d")


def softmax(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, -1)


def backward(device: str, then: int = 0) -> PassTrace:
    """The backward pass of a softmax, and of `then` doublings before it."""

    def function(x: torch.Tensor) -> torch.Tensor:
        for _ in range(then):
            x = x * 2
        return softmax(x)

    return trace_backward(Subject(function, {"x": Tensor("n,d")}, ("n", "d")), torch.float32, device)


def test_a_gpu_makes_gradient_times_output_first() -> None:
    on_gpu, on_cpu = backward("cuda"), backward("cpu")
    # Input, output, the output's gradient and the input's; on a GPU one more of their size.
    assert on_cpu.peak == (4 * ELEMENT * n * d,)
    assert on_gpu.peak == (5 * ELEMENT * n * d,)
    assert on_cpu.workspace == ()
    (source,) = on_gpu.workspace
    assert "SoftMax.cu" in source


def test_workspace_is_given_back() -> None:
    """It is part of the peak while its operation runs and of nothing else."""
    on_gpu, on_cpu = backward("cuda", then=3), backward("cpu", then=3)
    assert max(sp.expand(a - b) for a, b in zip(on_gpu.peak, on_cpu.peak, strict=True)) <= ELEMENT * n * d
    assert [record.name for record in on_gpu.records] == [record.name for record in on_cpu.records]
    assert on_gpu.saved_bytes == on_cpu.saved_bytes
    assert on_gpu.unique_bytes == on_cpu.unique_bytes


def test_a_pass_without_such_an_operation_needs_none() -> None:
    trace = trace_forward(Subject(softmax, {"x": Tensor("n,d")}, ("n", "d")), torch.float32, "cuda")
    assert trace.workspace == ()
    assert trace.peak == (2 * ELEMENT * n * d,)


def test_half_precision_and_scores_of_another_dtype() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x.float(), -1)

    subject = Subject(function, {"x": Tensor("n,d")}, ("n", "d"))
    traces = [trace_backward(subject, torch.bfloat16, device) for device in ("cuda", "cpu")]
    peaks = [max(p.xreplace({ELEMENT: sp.Integer(2)}).subs({n: 10, d: 10}) for p in trace.peak) for trace in traces]
    # Argument, result and its gradient take 2 + 4 + 4 bytes an element. Then the GPU's kernel takes 4 for the product,
    # as wide as the gradient, and 4 for its result; at the end that is there with its conversion to 2.
    assert peaks == [(2 + 4 + 4 + 4 + 4) * 100, (2 + 4 + 4 + 4 + 2) * 100]


def test_every_rule_has_a_source_in_torch() -> None:
    for name, rule in (*RULES["cpu"].items(), *RULES["cuda"].items(), *DTYPES["cuda"].items()):
        assert hasattr(torch.ops.aten, name.removeprefix("aten."))
        assert "aten/src/ATen/native/" in rule.source


@pytest.mark.parametrize(("dtype", "width"), [(torch.bfloat16, 2), (torch.float32, 4)])
def test_a_gpu_keeps_the_statistics_of_layer_norm_in_single_precision(dtype: torch.dtype, width: int) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, (x.shape[-1],))

    subject = Subject(function, {"x": Tensor("n,d")}, ("n", "d"))
    saved = {device: trace_backward(subject, dtype, device).saved_bytes for device in ("cuda", "cpu")}
    assert all(size is not None for size in saved.values())
    # Mean and deviation of each row, as `torch.layer_norm` of a half-precision tensor leaves them on either device.
    assert saved["cuda"].xreplace({ELEMENT: sp.Integer(width)}) == 2 * 4 * n  # type: ignore[union-attr]
    assert saved["cpu"].xreplace({ELEMENT: sp.Integer(width)}) == 2 * width * n  # type: ignore[union-attr]
