"""Flash attention on a CPU: outputs and gradients in Triton's interpreter, symbolic launches, refused inputs."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sympy

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from torch._dynamo.source import ConstantSource  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv  # noqa: E402
from triton.runtime.jit import JITFunction  # noqa: E402

from tfcost_kernels.flash import flash_attention  # noqa: E402  (after the skips)
from tfcost_kernels.flash.reference import attention_reference  # noqa: E402

DRIVER = Path(__file__).with_name("flash_cases.py")


def _load_driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flash_cases", DRIVER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = _load_driver().CASES


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    """The driver's report: one run in a process with interpreted kernels."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, str(DRIVER)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("index", range(len(CASES)), ids=["-".join(map(str, case)) for case in CASES])
def test_outputs_and_gradients(interpreted: dict[str, Any], index: int) -> None:
    case = interpreted["errors"][index]
    # With a single key torch is exact; the kernels accumulate in fp32 and may round a few times.
    atol = 16 * 2.0**-24 * max(error["size"] for error in case.values())
    for name, error in case.items():
        assert error["kernel"] <= 2 * error["torch"] + atol, (name, error)


def test_inference_equals_training(interpreted: dict[str, Any]) -> None:
    assert interpreted["inference_equals_training"]


@pytest.mark.parametrize(("n", "m", "causal"), [(5, 5, False), (5, 5, True), (3, 7, True), (6, 2, True)])
def test_reference_against_loops(n: int, m: int, causal: bool) -> None:
    """The ground truth itself, one query and one pair at a time."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, heads, rows, 4, dtype=torch.float64) for heads, rows in ((4, n), (2, m), (2, m)))
    got = attention_reference(q, k, v, causal=causal)
    for head in range(4):
        for i in range(n):
            seen = [j for j in range(m) if not causal or j <= i + m - n]
            weights = [torch.exp(q[0, head, i] @ k[0, head // 2, j] / 2) for j in seen]
            want = sum((w * v[0, head // 2, j] for w, j in zip(weights, seen, strict=True)), torch.zeros(4))
            torch.testing.assert_close(got[0, head, i], want / (sum(weights) or 1), check_dtype=False)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """(kernel name, grid) of every launch; nothing is compiled or run."""
    seen: list[tuple[str, tuple[Any, ...]]] = []

    def record(self: Any, *_: Any, grid: tuple[Any, ...], **__: Any) -> None:
        seen.append((self.fn.__name__, grid))

    monkeypatch.setattr(JITFunction, "run", record)
    return seen


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rows_before_heads", [False, True])
def test_symbolic_sizes_stay_symbolic(launches: list[Any], causal: bool, rows_before_heads: bool) -> None:
    env = ShapeEnv(duck_shape=False, specialize_zero_one=False)
    b, h_kv, group, n, m = (_symbol(env, name, hint) for name, hint in zip("bkgnm", (2, 3, 2, 300, 500), strict=True))
    with FakeTensorMode(shape_env=env):
        q, k, v = (
            _fake(b, heads, rows, rows_before_heads) for heads, rows in ((h_kv * group, n), (h_kv, m), (h_kv, m))
        )
        o = flash_attention(q, k, v, causal=causal)
        assert o.stride() == q.stride()
        torch.autograd.grad(o, (q, k, v), torch.empty_like(o))
    assert [name for name, _ in launches] == ["forward_kernel", "delta_kernel", "dk_dv_kernel", "dq_kernel"]
    for _, (tiles, heads) in launches:
        for extent in (tiles, heads):
            assert isinstance(extent, torch.SymInt)
            assert extent.node.expr.free_symbols
    # empty_like asks whether sizes differ from 1, which holds for every size of interest; an equation would fix one.
    assert not any(isinstance(guard.expr, sympy.Eq) for guard in env.guards)


def _symbol(env: ShapeEnv, name: str, hint: int) -> Any:
    source = ConstantSource(name)
    symbol = env.create_symbol(hint, source, dynamic_dim=DimDynamic.DYNAMIC, do_not_specialize_zero_one=True)
    return env.create_symintnode(symbol, hint=hint, source=source)


def _fake(b: Any, h: Any, n: Any, rows_before_heads: bool) -> Any:
    shape = (b, n, h, 64) if rows_before_heads else (b, h, n, 64)
    tensor = torch.empty(shape, dtype=torch.bfloat16)
    return (tensor.transpose(1, 2) if rows_before_heads else tensor).detach().requires_grad_()


@pytest.mark.parametrize(
    ("q", "k", "v", "message"),
    [
        ((1, 1, 4, 48), (1, 1, 4, 48), (1, 1, 4, 48), r"head width 48 is not one of \(16, 32, 64, 128, 256\)"),
        ((1, 1, 4, 16), (1, 1, 4, 32), (1, 1, 4, 32), "head width is 16, but k has 32"),
        ((2, 1, 4, 16), (1, 1, 4, 16), (1, 1, 4, 16), "batch is 2, but k has 1"),
        ((1, 1, 4, 16), (1, 1, 4, 16), (1, 1, 5, 16), "v dimension 2 is 5, but k has 4"),
        ((1, 3, 4, 16), (1, 2, 4, 16), (1, 2, 4, 16), "3 query heads are not a multiple of 2"),
        ((1, 1, 0, 16), (1, 1, 4, 16), (1, 1, 4, 16), "every size must be at least 1"),
        ((9999, 8, 1, 16), (9999, 8, 1, 16), (9999, 8, 1, 16), r"batch\*heads = 79992 exceeds the grid limit"),
        ((4, 16), (4, 16), (4, 16), "must be .batch, heads, rows, head width., got 2, 2, 2 dims"),
    ],
)
def test_refused_shapes(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...], message: str) -> None:
    with FakeTensorMode(), pytest.raises(ValueError, match=message):
        flash_attention(torch.empty(q), torch.empty(k), torch.empty(v))


def test_refused_dtypes_and_devices() -> None:
    with FakeTensorMode():
        half, single = torch.empty(1, 1, 4, 16, dtype=torch.float16), torch.empty(1, 1, 4, 16)
        with pytest.raises(ValueError, match="share one dtype"):
            flash_attention(half, single, single)
        with pytest.raises(ValueError, match="share one dtype"):
            flash_attention(*[single.double()] * 3)
        with pytest.raises(ValueError, match="one device"):
            flash_attention(single, single.to("meta"), single)
    with pytest.raises(ValueError, match="need a CUDA device"):
        flash_attention(*[torch.randn(1, 1, 4, 16)] * 3)
