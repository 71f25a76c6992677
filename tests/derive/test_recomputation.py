"""Backward passes, recomputation and adding up of gradients against torch's FLOP counter and the CPU allocator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from derive.small import check_against_torch, forward, subject, total, value
from torch.utils.checkpoint import checkpoint

from tfcost.derive.trace import trace_backward
from tfcost.steps import step

Function = Callable[..., Any]


def layer(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    with step("first"):
        hidden = torch.tanh(x @ y)
    with step("second"):
        return torch.relu(hidden @ y.t())


def kept(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return layer(x * 1, y)


def recomputed(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return checkpoint(layer, x * 1, y, use_reentrant=False, preserve_rng_state=False)  # type: ignore[no-any-return]


def with_rng_state(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return checkpoint(layer, x * 1, y, use_reentrant=False)  # type: ignore[no-any-return]


def test_a_checkpoint_recomputes() -> None:
    plain, again = (trace_backward(subject(f, "n,d", "d,2*d"), torch.float32, "cpu") for f in (kept, recomputed))
    forward_flops = total(forward(layer, "n,d", "d,2*d"), "matmul_flops")
    assert forward_flops == 2 * (2 * 5 * 8 * 16)
    # The last product is not needed for the gradient, but it comes before the result that is.
    assert total(again, "matmul_flops") == total(plain, "matmul_flops") + forward_flops
    assert plain.saved_bytes is not None
    assert again.saved_bytes is not None
    # tanh and relu keep their results; the checkpoint keeps its input alone.
    assert value(plain.saved_bytes) == (5 * 8 + 5 * 16) * 4
    assert value(again.saved_bytes) == 5 * 8 * 4
    steps = {record.label.step for record in again.records}
    assert {"first", "second", "first (recomputed)", "second (recomputed)"} <= steps


@pytest.mark.parametrize("function", [kept, recomputed])
def test_recomputation_takes_the_memory_that_it_does_for_real(function: Function) -> None:
    check_against_torch(function, "n,d", "d,2*d")


def test_the_state_of_the_random_numbers_is_the_only_memory_not_seen() -> None:
    """It lives on the host, whatever the device: the one to go back to, and while recomputing the one to return to."""
    check_against_torch(with_rng_state, "n,d", "d,2*d", unseen=2 * torch.get_rng_state().numel())


def test_dropout_in_a_checkpoint() -> None:
    def drop(x: torch.Tensor) -> torch.Tensor:
        return torch.dropout(torch.tanh(x), 0.5, True)

    trace = trace_backward(subject(lambda x: checkpoint(drop, x * 1, use_reentrant=False), "n,d"), torch.float32, "cpu")
    names = [record.name for record in trace.records]
    # tanh and the mask are made again; the product with the mask is the result, which nobody needs.
    assert names.count("aten.tanh") == names.count("aten.bernoulli_") == 1
    assert names[-3:] == ["aten.mul", "aten.tanh_backward", "aten.mul"]


BRANCHES: list[Function] = [
    lambda x: x.tanh() + x.exp(),
    lambda x: x.tanh() * x.tanh() + x,
    lambda x: (x * 2).t() @ (x * 3),
    lambda x: torch.softmax(x @ x.t(), -1) @ x,
    lambda x: torch.cat([x.relu(), x.sigmoid()]).sum(0),
    lambda x: sum(x.exp() for _ in range(4)),
]


@pytest.mark.parametrize("function", BRANCHES)
def test_gradients_that_add_up(function: Function) -> None:
    check_against_torch(function, "n,d")


def test_backward_operations_have_the_step_and_line_of_their_forward() -> None:
    trace = trace_backward(subject(layer, "n,d", "d,2*d"), torch.float32, "cpu")
    lines = Path(__file__).read_text().splitlines()
    products = [record for record in trace.records if record.name == "aten.mm"]
    assert [record.label.step for record in products] == ["second", "second", "first", "first"]
    for record in products:
        assert record.label.path == __file__
        assert " @ " in lines[record.label.line - 1]
        assert record.label.code == lines[record.label.line - 1].strip()
