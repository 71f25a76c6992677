"""Gather attention on a CPU: values, gradients, symbolic launches, builds without a GPU, refused inputs."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from kernels.gather_cases import CASES  # noqa: E402
from kernels.interpreter_run import assert_close, run_driver  # noqa: E402
from kernels.symbolic_launch import assert_nothing_specialised, build, launches, symbol_env, symbols  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from tfcost_kernels.gather import gather_attention  # noqa: E402
from tfcost_kernels.gather.reference import gather_reference  # noqa: E402

KERNELS = ["forward_kernel", "delta_kernel", "dq_kernel", "dk_dv_kernel"]


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    return run_driver(Path(__file__).with_name("gather_cases.py"))


@pytest.mark.parametrize("index", range(len(CASES)), ids=["-".join(map(str, case)) for case in CASES])
def test_outputs_and_gradients(interpreted: dict[str, Any], index: int) -> None:
    assert_close(interpreted["errors"][index])


def test_all_blocks_is_full_attention(interpreted: dict[str, Any]) -> None:
    for case in interpreted["full"]:
        assert_close(case)


def test_inference_equals_training(interpreted: dict[str, Any]) -> None:
    assert interpreted["inference_equals_training"]


@pytest.mark.parametrize("causal", [False, True])
def test_reference_against_loops(causal: bool) -> None:
    """One query and one key at a time; lists with a repeat, a gap and a number out of range."""
    torch.manual_seed(0)
    n, m, block = 5, 7, 2
    q = torch.randn(1, 4, n, 4, dtype=torch.float64)
    k, v = torch.randn(2, 1, 2, m, 4, dtype=torch.float64)
    index = torch.tensor([[[[0, 3], [1, 1], [-1, 2]], [[2, 4], [3, 0], [-1, 4]]]])
    got = gather_reference(q, k, v, index, block=block, causal=causal)
    for head in range(4):
        for i in range(n):
            total, weighted = torch.tensor(0.0).double(), torch.zeros(4).double()
            for number in index[0, head // 2, i // block].tolist():
                for j in range(number * block, number * block + block):
                    if 0 <= j < m and not (causal and j > i + m - n):
                        weight = torch.exp(q[0, head, i] @ k[0, head // 2, j] / 2)
                        total, weighted = total + weight, weighted + weight * v[0, head // 2, j]
            torch.testing.assert_close(got[0, head, i], weighted / (total or 1))


@pytest.mark.parametrize("causal", [False, True])
def test_symbolic_sizes_stay_symbolic(causal: bool) -> None:
    env = symbol_env()
    b, h_kv, group, n, m, listed = symbols(env, b=2, k=3, g=2, n=300, m=500, listed=7)
    with FakeTensorMode(shape_env=env), launches() as seen:
        shapes = ((b, h_kv * group, n, 64), (b, h_kv, m, 64), (b, h_kv, m, 64))
        q, k, v = (torch.empty(shape, dtype=torch.bfloat16, requires_grad=True) for shape in shapes)
        index = torch.empty(b, h_kv, (n + 63) // 64, listed, dtype=torch.int32)
        o = gather_attention(q, k, v, index, causal=causal)
        torch.autograd.grad(o, (q, k, v), torch.empty_like(o))
    assert [launch.name for launch in seen] == KERNELS
    assert all(extent.node.expr.free_symbols for launch in seen for extent in launch.grid)
    assert_nothing_specialised(env)


@pytest.mark.parametrize(("block", "d_h"), [(16, 64), (64, 64), (64, 128), (128, 128), (64, 256)])
def test_compiles_for_hopper(block: int, d_h: int) -> None:
    with FakeTensorMode(), launches() as seen:
        q, k, v = (torch.empty(2, heads, 512, d_h, dtype=torch.bfloat16, requires_grad=True) for heads in (8, 2, 2))
        o = gather_attention(q, k, v, torch.empty(2, 2, 512 // block, 4, dtype=torch.int32), block=block, causal=True)
        torch.autograd.grad(o, (q, k, v), torch.empty_like(o))
    for launch in seen:
        built = build(launch)
        assert built.shared_bytes <= 227 * 1024, (launch.name, built)
        assert built.spilled_bytes <= 128, (launch.name, built)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": (1, 2, 40, 48), "k": (1, 1, 30, 48), "v": (1, 1, 30, 48)}, r"head width 48 is not one of"),
        ({"q": (1, 2, 40, 32)}, "head width is 32, but k has 16"),
        ({"q": (2, 2, 40, 16)}, "batch is 2, but k has 1"),
        ({"q": (1, 3, 40, 16), "k": (1, 2, 30, 16), "v": (1, 2, 30, 16), "index": (1, 2, 3, 2)}, "not a multiple of 2"),
        ({"v": (1, 1, 31, 16)}, "v dimension 2 is 31, but k has 30"),
        ({"index": (2, 1, 3, 2)}, "index batch is 2, but k has 1"),
        ({"index": (1, 2, 3, 2)}, "index heads is 2, but k has 1"),
        ({"index": (1, 1, 4, 2)}, "40 queries are 3 blocks of 16, but index has 4"),
        ({"index": (1, 3, 2)}, "index must be int32 or int64 .* with 3 dims"),
        ({"index": (1, 1, 3, 0)}, "every size must be at least 1"),
        ({"block": 48}, r"block 48 is not one of \(16, 32, 64, 128\)"),
        ({"q": (40, 16)}, "must be .batch, heads, rows, head width., got 2, 4, 4 dims"),
        (
            {"q": (70000, 1, 40, 16), "k": (70000, 1, 30, 16), "v": (70000, 1, 30, 16), "index": (70000, 1, 3, 2)},
            "grid",
        ),
    ],
)
def test_refused_shapes(change: dict[str, Any], message: str) -> None:
    shapes = {"q": (1, 2, 40, 16), "k": (1, 1, 30, 16), "v": (1, 1, 30, 16), "index": (1, 1, 3, 2)} | change
    block = shapes.pop("block", 16)
    with FakeTensorMode():
        tensors = {n: torch.empty(s, dtype=torch.int32 if n == "index" else torch.float32) for n, s in shapes.items()}
        with pytest.raises(ValueError, match=message):
            gather_attention(**tensors, block=block)


def test_refused_dtypes_devices_and_tiles() -> None:
    with FakeTensorMode():
        x, index = torch.empty(1, 1, 16, 16), torch.empty(1, 1, 1, 1, dtype=torch.int32)
        with pytest.raises(ValueError, match="share one dtype"):
            gather_attention(x.half(), x, x, index, block=16)
        with pytest.raises(ValueError, match="index must be int32"):
            gather_attention(x, x, x, index.float(), block=16)
        with pytest.raises(ValueError, match="one device"):
            gather_attention(x, x, x, index.to("meta"), block=16)
        wide = torch.empty(1, 1, 128, 256, dtype=torch.bfloat16)
        with pytest.raises(ValueError, match="blocks of 128 do not fit on chip at head width 256"):
            gather_attention(wide, wide, wide, index, block=128)
    with pytest.raises(ValueError, match="need a CUDA device"):
        gather_attention(*[torch.randn(1, 1, 16, 16)] * 3, torch.zeros(1, 1, 1, 1, dtype=torch.int32), block=16)
