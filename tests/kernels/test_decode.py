"""Decode attention on a CPU: values in Triton's interpreter, symbolic launches, compilation, refused inputs."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from kernels.decode_cases import CASES  # noqa: E402
from kernels.interpreter_run import assert_close, run_driver  # noqa: E402
from kernels.symbolic_launch import assert_nothing_specialised, build, launches, symbol_env, symbols  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from tfcost_kernels.decode import decode_attention  # noqa: E402
from tfcost_kernels.decode.reference import decode_reference  # noqa: E402
from tfcost_kernels.decode.tiles import HEAD_WIDTHS  # noqa: E402


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    return run_driver(Path(__file__).with_name("decode_cases.py"))


@pytest.mark.parametrize("index", range(len(CASES)), ids=["-".join(map(str, case)) for case in CASES])
def test_outputs(interpreted: dict[str, Any], index: int) -> None:
    assert_close(interpreted["errors"][index])


def test_reference_against_loops() -> None:
    """One head and one key at a time."""
    torch.manual_seed(0)
    q = torch.randn(2, 4, 1, 8, dtype=torch.float64)
    k, v = torch.randn(2, 2, 2, 9, 8, dtype=torch.float64)
    got = decode_reference(q, k, v, 7, first=2)
    for batch in range(2):
        for head in range(4):
            weights = [torch.exp(q[batch, head, 0] @ k[batch, head // 2, j] / 8**0.5) for j in range(2, 7)]
            values = [weight * v[batch, head // 2, j] for weight, j in zip(weights, range(2, 7), strict=True)]
            torch.testing.assert_close(got[batch, head, 0], sum(values) / sum(weights))


def test_symbolic_sizes_stay_symbolic() -> None:
    env = symbol_env()
    b, h_kv, group, capacity, m, first = symbols(env, b=2, h_kv=3, group=5, capacity=500, m=300, first=100)
    with FakeTensorMode(shape_env=env), launches() as seen:
        q = torch.empty(b, h_kv * group, 1, 64, dtype=torch.bfloat16)
        k, v = (torch.empty(b, h_kv, capacity, 64, dtype=torch.bfloat16) for _ in "kv")
        decode_attention(q, k, v, m, splits=8, first=first)
    assert [launch.name for launch in seen] == ["partial_kernel", "combine_kernel"]
    partial, combine = (launch.grid for launch in seen)
    assert partial[1] == 8
    assert all(extent.node.expr.free_symbols for extent in (partial[0], partial[2], combine[0]))
    assert_nothing_specialised(env)


@pytest.mark.parametrize("d_h", HEAD_WIDTHS)
def test_compiles_for_hopper(d_h: int) -> None:
    with FakeTensorMode(), launches() as seen:
        q = torch.empty(2, 16, 1, d_h, dtype=torch.bfloat16)
        k, v = (torch.empty(2, 4, 512, d_h, dtype=torch.bfloat16) for _ in "kv")
        decode_attention(q, k, v, 500, splits=8)
    for launch in seen:
        built = build(launch)
        assert built.spilled_bytes == 0
        assert built.shared_bytes <= 227 * 1024


@pytest.mark.parametrize(
    ("q", "k", "v", "message"),
    [
        ((1, 1, 1, 48), (1, 1, 4, 48), (1, 1, 4, 48), r"head width 48 is not one of \(16, 32, 64, 128, 256\)"),
        ((1, 1, 2, 16), (1, 1, 4, 16), (1, 1, 4, 16), "one new token, got 2"),
        ((1, 1, 1, 16), (1, 1, 4, 32), (1, 1, 4, 32), "head width is 16, but k_cache has 32"),
        ((2, 1, 1, 16), (1, 1, 4, 16), (1, 1, 4, 16), "batch is 2, but k_cache has 1"),
        ((1, 1, 1, 16), (1, 1, 4, 16), (1, 1, 5, 16), "v_cache dimension 2 is 5, but k_cache has 4"),
        ((1, 3, 1, 16), (1, 2, 4, 16), (1, 2, 4, 16), "3 query heads are not a multiple of 2"),
        ((1, 0, 1, 16), (1, 1, 4, 16), (1, 1, 4, 16), "every size must be at least 1"),
        ((4, 16), (4, 16), (4, 16), "must be .batch, heads, rows, head width., got 2, 2, 2 dims"),
    ],
)
def test_refused_shapes(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...], message: str) -> None:
    with FakeTensorMode(), pytest.raises(ValueError, match=message):
        decode_attention(torch.empty(q), torch.empty(k), torch.empty(v), 3, splits=1)


@pytest.mark.parametrize(
    ("length", "splits", "first", "message"),
    [
        (-1, 1, 0, "length must be at least 0"),
        (5, 1, 0, "length 5 exceeds the caches' capacity 4"),
        (4, 0, 0, "splits must be 1 to 65535"),
        (4, 65536, 0, "splits must be 1 to 65535"),
        (4, 1, -1, "first must be at least 0"),
    ],
)
def test_refused_numbers(length: int, splits: int, first: int, message: str) -> None:
    with FakeTensorMode():
        q, k = torch.empty(1, 1, 1, 16), torch.empty(1, 1, 4, 16)
        with pytest.raises(ValueError, match=message):
            decode_attention(q, k, k, length, splits=splits, first=first)


def test_refused_dtypes_devices_and_gradients() -> None:
    with FakeTensorMode():
        half, single = torch.empty(1, 1, 1, 16, dtype=torch.float16), torch.empty(1, 1, 1, 16)
        with pytest.raises(ValueError, match="share one dtype"):
            decode_attention(half, single, single, 1, splits=1)
        with pytest.raises(ValueError, match="one device"):
            decode_attention(single, single.to("meta"), single, 1, splits=1)
        with pytest.raises(ValueError, match="no gradient"):
            decode_attention(single.requires_grad_(), single, single, 1, splits=1)
    with pytest.raises(ValueError, match="need a CUDA device"):
        decode_attention(*[torch.randn(1, 1, 1, 16)] * 3, 1, splits=1)
