"""The gated activation on a CPU: values and gradients in Triton's interpreter, symbolic launches, refused inputs."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from kernels.ffn_cases import ACTIVATIONS, CASES  # noqa: E402
from kernels.interpreter_run import assert_close, run_driver  # noqa: E402
from kernels.symbolic_launch import assert_nothing_specialised, build, launches, symbol_env, symbols  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from tfcost_kernels.ffn import gated_activation  # noqa: E402
from tfcost_kernels.ffn.reference import gated_reference  # noqa: E402


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    return run_driver(Path(__file__).with_name("ffn_cases.py"))


@pytest.mark.parametrize("index", range(len(CASES)), ids=["-".join(map(str, case)) for case in CASES])
def test_outputs_and_gradients(interpreted: dict[str, Any], index: int) -> None:
    assert_close(interpreted["errors"][index])


def test_far_tails(interpreted: dict[str, Any]) -> None:
    """All three are 0 far below, the identity far above, and their slopes 0 and 1."""
    for activation, slope_at_zero in (("silu", 0.5), ("gelu", 0.5), ("relu", 0.0)):
        wanted = [0.0, 0.0, 0.0, 200.0, 1e30, 0.0, 0.0, slope_at_zero, 1.0, 1.0]
        torch.testing.assert_close(torch.tensor(interpreted["tails"][activation]), torch.tensor(wanted))


def test_reference_against_the_definitions() -> None:
    gate, up = torch.randn(2, 50, dtype=torch.float64)
    normal = torch.distributions.Normal(torch.tensor(0.0).double(), torch.tensor(1.0).double())
    wanted = {"silu": gate / (1 + torch.exp(-gate)), "gelu": gate * normal.cdf(gate), "relu": gate.clamp(min=0)}
    for activation in ACTIVATIONS:
        torch.testing.assert_close(gated_reference(gate, up, activation=activation), wanted[activation] * up)


def test_symbolic_sizes_stay_symbolic() -> None:
    env = symbol_env()
    b, n, f = symbols(env, b=2, n=300, f=500)
    with FakeTensorMode(shape_env=env), launches() as seen:
        gate, up = (torch.empty(b, n, f, dtype=torch.bfloat16, requires_grad=True) for _ in "gu")
        out = gated_activation(gate, up)
        torch.autograd.grad(out, (gate, up), torch.empty_like(out))
    assert [launch.name for launch in seen] == ["gated_kernel", "gated_backward_kernel"]
    assert all(launch.grid[0].node.expr.free_symbols for launch in seen)
    assert_nothing_specialised(env)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_compiles_for_hopper(activation: str) -> None:
    with FakeTensorMode(), launches() as seen:
        gate, up = (torch.empty(64, 64, dtype=torch.bfloat16, requires_grad=True) for _ in "gu")
        out = gated_activation(gate, up, activation=activation)
        torch.autograd.grad(out, (gate, up), torch.empty_like(out))
    for launch in seen:
        assert build(launch).spilled_bytes == 0


def test_refused_inputs() -> None:
    with FakeTensorMode():
        half, single = torch.empty(4, 5, dtype=torch.float16), torch.empty(4, 5)
        with pytest.raises(ValueError, match="activation 'swish' is not one of"):
            gated_activation(single, single, activation="swish")
        with pytest.raises(ValueError, match="share one dtype"):
            gated_activation(half, single)
        with pytest.raises(ValueError, match="share one dtype"):
            gated_activation(single.long(), single.long())
        with pytest.raises(ValueError, match=r"one shape, got \(4, 5\), \(4, 6\)"):
            gated_activation(single, torch.empty(4, 6))
        with pytest.raises(ValueError, match="one shape"):
            gated_activation(single, torch.empty(5))
        with pytest.raises(ValueError, match="one device"):
            gated_activation(single, single.to("meta"))
    with pytest.raises(ValueError, match="need a CUDA device"):
        gated_activation(torch.randn(4), torch.randn(4))
