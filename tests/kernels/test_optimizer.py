"""The optimizer kernels on a CPU: one step in Triton's interpreter against fp64, symbolic launches, refused inputs."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from kernels.interpreter_run import run_driver  # noqa: E402
from kernels.optimizer_cases import CASES, STEP  # noqa: E402
from kernels.symbolic_launch import assert_nothing_specialised, build, launches, symbol_env, symbols  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from tfcost_kernels.optimizer import adamw_8bit, adamw_mixed  # noqa: E402
from tfcost_kernels.optimizer.adamw import AdamW  # noqa: E402
from tfcost_kernels.optimizer.reference import adamw_reference  # noqa: E402


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    return run_driver(Path(__file__).with_name("optimizer_cases.py"))


def test_mixed_precision(interpreted: dict[str, Any]) -> None:
    for size, found in interpreted["mixed"].items():
        assert all(error <= 1 for error in found.values()), (size, found)
        assert found["weight"] == 0


@pytest.mark.parametrize("index", range(len(CASES)), ids=["-".join(map(str, case)) for case in CASES])
def test_moments_of_8_bits(interpreted: dict[str, Any], index: int) -> None:
    """Weights to rounding; moments to half a step of their code."""
    assert all(error <= 1 for error in interpreted["coded"][index].values()), interpreted["coded"][index]


def test_a_block_of_zeros(interpreted: dict[str, Any]) -> None:
    assert interpreted["zeros"] == pytest.approx([1 - STEP.rate * STEP.decay])


def test_the_reference_is_torchs_own_adamw() -> None:
    weight = torch.nn.Parameter(torch.randn(50, dtype=torch.float64))
    step = AdamW(rate=0.01, decay=0.1)
    optimizer = torch.optim.AdamW([weight], lr=step.rate, weight_decay=step.decay)
    ours, first, second = weight.detach().clone(), torch.zeros(50).double(), torch.zeros(50).double()
    for number in (1, 2, 3):
        weight.grad = torch.randn(50, dtype=torch.float64)
        optimizer.step()
        ours, first, second = adamw_reference(ours, weight.grad, first, second, AdamW(0.01, decay=0.1, step=number))
        torch.testing.assert_close(ours, weight.detach())


def _state(n: Any) -> dict[str, Any]:
    blocks = (n + 255) // 256
    scales = {name: torch.empty(blocks) for name in ("first_scale", "second_scale")}
    return {"first": torch.empty(n, dtype=torch.int8), "second": torch.empty(n, dtype=torch.uint8), **scales}


def test_symbolic_sizes_stay_symbolic() -> None:
    env = symbol_env()
    (n,) = symbols(env, n=5000)
    with FakeTensorMode(shape_env=env), launches() as seen:
        half = {name: torch.empty(n, dtype=torch.bfloat16) for name in ("weight", "gradient")}
        adamw_mixed(**half, **{name: torch.empty(n) for name in ("master", "first", "second")})
        adamw_8bit(**half, **_state(n))
        adamw_8bit(**half, **_state(n), master=torch.empty(n))
    assert [launch.name for launch in seen] == ["adamw_mixed_kernel", *["adamw_8bit_kernel"] * 2]
    assert all(launch.grid[0].node.expr.free_symbols for launch in seen)
    assert_nothing_specialised(env)


def test_compiles_for_hopper() -> None:
    with FakeTensorMode(), launches() as seen:
        half = {name: torch.empty(4096, dtype=torch.bfloat16) for name in ("weight", "gradient")}
        adamw_mixed(**half, **{name: torch.empty(4096) for name in ("master", "first", "second")})
        adamw_8bit(**half, **_state(4096))
        adamw_8bit(**half, **_state(4096), master=torch.empty(4096))
    for launch in seen:
        assert build(launch).spilled_bytes == 0


def test_refused_inputs() -> None:
    with FakeTensorMode():
        half, single = torch.empty(300, dtype=torch.float16), torch.empty(300)
        with pytest.raises(ValueError, match=r"first must be torch\.float32, got torch\.float16"):
            adamw_mixed(half, half, single, half, single)
        with pytest.raises(ValueError, match="share one dtype"):
            adamw_mixed(half, single, single, single, single)
        with pytest.raises(ValueError, match="master must have the weight's shape"):
            adamw_mixed(half, half, single[1:], single, single)
        with pytest.raises(ValueError, match=r"second must be torch\.uint8, got torch\.int8"):
            adamw_8bit(half, half, **{**_state(300), "second": torch.empty(300, dtype=torch.int8)})
    with pytest.raises(ValueError, match="need a CUDA device"):
        adamw_8bit(torch.randn(300), torch.randn(300), **_state(300))
