"""Linear attention on a CPU: results in Triton's interpreter, symbolic launches, builds, refused inputs."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from kernels.interpreter_run import assert_close, run_driver  # noqa: E402  (after the skips)
from kernels.linear_cases import CASES  # noqa: E402
from kernels.symbolic_launch import assert_nothing_specialised, build, launches, symbol_env, symbols  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from tfcost.techniques import linear as technique  # noqa: E402
from tfcost_kernels.linear import causal_linear_attention, linear_attention, linear_decode_step  # noqa: E402
from tfcost_kernels.linear.features import EPSILON, FEATURE_MAPS  # noqa: E402
from tfcost_kernels.linear.reference import linear_reference  # noqa: E402
from tfcost_kernels.linear.tiles import Walk, tiles_for  # noqa: E402

SHARED_BYTES = 227 * 1024  # the most that one program may have at compute capability 9.0
BACKWARD = ["dq_kernel", "segment_gradients_kernel", "{sums}", "dk_dv_kernel"]


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    """The driver's report: one run in a process with interpreted kernels."""
    return run_driver(Path(__file__).with_name("linear_cases.py"))


@pytest.mark.parametrize("index", range(len(CASES)), ids=["-".join(map(str, case)) for case in CASES])
def test_outputs_and_gradients(interpreted: dict[str, Any], index: int) -> None:
    assert_close(interpreted["errors"][index])


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.float16"])
def test_decode_steps_equal_causal_rows(interpreted: dict[str, Any], dtype: str) -> None:
    assert_close(interpreted["decode"][dtype])


def test_inference_equals_training(interpreted: dict[str, Any]) -> None:
    assert interpreted["inference_equals_training"]


def test_queries_switched_off(interpreted: dict[str, Any]) -> None:
    assert interpreted["largest_of_switched_off"] == 0


@pytest.mark.parametrize("feature_map", FEATURE_MAPS)
@pytest.mark.parametrize("causal", [False, True])
def test_reference_against_loops(feature_map: str, causal: bool) -> None:
    """The ground truth itself, one query and one pair at a time."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, heads, 5, 4, dtype=torch.float64) for heads in (4, 2, 2))
    phi = {"relu": lambda x: max(x, 0.0), "exp": _exp, "elu+1": lambda x: x + 1 if x > 0 else _exp(x)}[feature_map]
    got = linear_reference(q, k, v, causal=causal, feature_map=feature_map)
    for head in range(4):
        for i in range(5):
            keys = k[0, head // 2, : i + 1 if causal else 5].tolist()
            row = [phi(x) for x in q[0, head, i].tolist()]
            weights = [sum(a * phi(b) for a, b in zip(row, key, strict=True)) for key in keys]
            want = sum(w * value for w, value in zip(weights, v[0, head // 2], strict=False)) / (sum(weights) + EPSILON)
            torch.testing.assert_close(got[0, head, i], want)


def _exp(x: float) -> float:
    return float(torch.tensor(x, dtype=torch.float64).exp())


@pytest.mark.parametrize("feature_map", FEATURE_MAPS)
def test_reference_equals_the_technique(feature_map: str) -> None:
    """The torch form whose cost is derived computes the same function."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, heads, 9, 4, dtype=torch.float64) for heads in (4, 2, 2))
    full, causal = (linear_reference(q, k, v, causal=c, feature_map=feature_map) for c in (False, True))
    torch.testing.assert_close(technique.attention(q, k, v, feature_map), full)
    torch.testing.assert_close(technique.causal_attention(q, k, v, 4, feature_map), causal)
    assert EPSILON == technique.EPSILON


@pytest.mark.parametrize("causal", [False, True])
def test_symbolic_sizes_stay_symbolic(causal: bool) -> None:
    env = symbol_env()
    b, h_kv, group, n, m = symbols(env, b=2, h_kv=3, group=2, n=300, m=500)
    with FakeTensorMode(shape_env=env), launches() as seen:
        q = torch.empty(b, h_kv * group, n, 64, dtype=torch.bfloat16).requires_grad_()
        k, v = (torch.empty(b, h_kv, n if causal else m, 64, dtype=torch.bfloat16).requires_grad_() for _ in "kv")
        o = causal_linear_attention(q, k, v) if causal else linear_attention(q, k, v)
        torch.autograd.grad(o, (q, k, v), torch.empty_like(o))
    sums = "prefix_kernel" if causal else "total_kernel"
    forward = ["segment_states_kernel", sums, "output_kernel"]
    assert [launch.name for launch in seen] == [*forward, *(name.format(sums=sums) for name in BACKWARD)]
    for launch in seen:
        # Heads, and segments unless a program sums over them; the rest is decided by head width and tiles.
        symbolic = launch.grid[-1:] if launch.name == sums else (launch.grid[0], launch.grid[-1])
        assert all(extent.node.expr.free_symbols for extent in symbolic)
    assert_nothing_specialised(env)


def test_symbolic_decode_step() -> None:
    env = symbol_env()
    b, h_kv, group = symbols(env, b=2, h_kv=3, group=2)
    with FakeTensorMode(shape_env=env), launches() as seen:
        q, k, v = (torch.empty(b, heads, 1, 64, dtype=torch.bfloat16) for heads in (h_kv * group, h_kv, h_kv))
        o = linear_decode_step(q, k, v, torch.empty(b, h_kv, 64, 64), torch.empty(b, h_kv, 64))
        assert o.shape == q.shape
    assert [launch.name for launch in seen] == ["decode_kernel"]
    assert_nothing_specialised(env)


@pytest.mark.parametrize(("causal", "d_h", "heads"), [(True, 128, (4, 2)), (False, 64, (2, 2))])
def test_builds_for_hopper(causal: bool, d_h: int, heads: tuple[int, int]) -> None:
    with FakeTensorMode(), launches() as seen:
        q, k, v = (
            torch.empty(2, h, 1000, d_h, dtype=torch.bfloat16).requires_grad_() for h in (heads[0], heads[1], heads[1])
        )
        o = causal_linear_attention(q, k, v) if causal else linear_attention(q, k, v)
        torch.autograd.grad(o, (q, k, v), torch.empty_like(o))
    for launch in {launch.name: launch for launch in seen}.values():
        assert build(launch).shared_bytes <= SHARED_BYTES, launch.name


def test_decode_step_builds_for_hopper() -> None:
    with FakeTensorMode(), launches() as seen:
        q, k, v = (torch.empty(2, h, 1, 128, dtype=torch.bfloat16) for h in (4, 2, 2))
        linear_decode_step(q, k, v, torch.empty(2, 2, 128, 128), torch.empty(2, 2, 128))
    built = build(seen[0])
    assert built.shared_bytes <= SHARED_BYTES
    assert built.spilled_bytes == 0


@pytest.mark.parametrize(
    ("q", "k", "v", "message"),
    [
        ((1, 1, 4, 48), (1, 1, 4, 48), (1, 1, 4, 48), r"head width 48 is not one of \(16, 32, 64, 128\)"),
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
        linear_attention(torch.empty(q), torch.empty(k), torch.empty(v))


def test_refused_dtypes_and_devices() -> None:
    with FakeTensorMode():
        half, single = torch.empty(1, 1, 4, 16, dtype=torch.float16), torch.empty(1, 1, 4, 16)
        with pytest.raises(ValueError, match="share one dtype"):
            linear_attention(half, single, single)
        with pytest.raises(ValueError, match="share one dtype"):
            linear_attention(*[single.double()] * 3)
        with pytest.raises(ValueError, match="one device"):
            linear_attention(single, single.to("meta"), single)
    with pytest.raises(ValueError, match="need a CUDA device"):
        causal_linear_attention(*[torch.randn(1, 1, 4, 16)] * 3)


def test_refused_options() -> None:
    with FakeTensorMode():
        q, k = torch.empty(1, 1, 4, 16), torch.empty(1, 1, 5, 16)
        with pytest.raises(ValueError, match="feature map 'elu' is not one of"):
            linear_attention(q, q, q, feature_map="elu")
        with pytest.raises(ValueError, match="needs m = n, got n = 4 queries, m = 5 keys"):
            causal_linear_attention(q, k, k)
        with pytest.raises(ValueError, match="chunk c = 48 is not one of"):
            causal_linear_attention(q, q, q, 48)
        with pytest.raises(ValueError, match="the tiles have segments of 64 rows, but the chunk is 32"):
            causal_linear_attention(q, q, q, 32, tiles=tiles_for(16, 4, 64))
        with pytest.raises(ValueError, match="a segment of 100 rows is not a multiple of 32"):
            linear_attention(q, q, q, tiles=tiles_for(16, 4)._replace(segment=100))
        with pytest.raises(ValueError, match="a segment of 512 rows is not a multiple of 48"):
            linear_attention(q, q, q, tiles=tiles_for(16, 4)._replace(gradients=Walk(48, 4, 1)))


def test_refused_decode_steps() -> None:
    with FakeTensorMode():
        q, state, keys = torch.empty(1, 1, 1, 16), torch.empty(1, 1, 16, 16), torch.empty(1, 1, 16)
        with pytest.raises(ValueError, match="takes one token, got n = 1, m = 2"):
            linear_decode_step(q, torch.empty(1, 1, 2, 16), torch.empty(1, 1, 2, 16), state, keys)
        with pytest.raises(ValueError, match=r"state must be \(1, 1, 16, 16\), got \(1, 1, 16\)"):
            linear_decode_step(q, q, q, keys, keys)
        with pytest.raises(ValueError, match="state must be contiguous fp32"):
            linear_decode_step(q, q, q, state.transpose(-2, -1), keys)
        with pytest.raises(ValueError, match="keys must be contiguous fp32"):
            linear_decode_step(q, q, q, state, keys.half())
        with pytest.raises(ValueError, match="has no gradient"):
            linear_decode_step(q.requires_grad_(), q, q, state, keys)
