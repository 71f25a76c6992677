"""The window family on a CPU: values and gradients in Triton's interpreter, tiles visited, derived costs, builds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from kernels.interpreter_run import assert_close, run_driver  # noqa: E402
from kernels.symbolic_launch import assert_nothing_specialised, build, launches, symbol_env, symbols  # noqa: E402
from kernels.window_cases import CASES, COUNTED, FULL  # noqa: E402
from kernels.window_tiles import visited  # noqa: E402
from oracles.evaluation import evaluate  # noqa: E402
from torch import Tensor  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from tfcost.derive.subject import Size, Subject  # noqa: E402
from tfcost.derive.subject import Tensor as Shape  # noqa: E402
from tfcost.derive.trace import PassTrace, trace_backward, trace_forward  # noqa: E402
from tfcost_kernels import window  # noqa: E402
from tfcost_kernels.flash.tiles import Tile, Tiles  # noqa: E402
from tfcost_kernels.window import reference  # noqa: E402

NUMBERS = {"window": "w", "block_local": "c", "dilated": "wr", "strided": "s", "longformer": "wg"}


def attention(pattern: str) -> Callable[..., Tensor]:
    return getattr(window, f"{pattern}_attention")


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    return run_driver(Path(__file__).with_name("window_cases.py"))


@pytest.mark.parametrize("index", range(len(CASES)), ids=["-".join(map(str, case)) for case in CASES])
def test_outputs_and_gradients(interpreted: dict[str, Any], index: int) -> None:
    assert_close(interpreted["errors"][index])


@pytest.mark.parametrize("index", range(len(COUNTED)), ids=["-".join(map(str, case)) for case in COUNTED])
def test_no_tile_without_a_visible_key_is_visited(interpreted: dict[str, Any], index: int) -> None:
    case = COUNTED[index]
    wanted = visited(case.pattern, case.numbers, case.causal, case.n, case.tile)
    assert interpreted["tiles"][index] == wanted < (case.n // case.tile[0]) * (case.n // case.tile[1])


def test_a_window_over_everything_is_flash(interpreted: dict[str, Any]) -> None:
    """Values are of order 1 and differ by what fp32 rounds."""
    assert len(interpreted["differences_from_flash"]) == 2 * 4 * len(FULL)
    assert max(interpreted["differences_from_flash"]) < 2.0**-20


def test_inference_equals_training(interpreted: dict[str, Any]) -> None:
    assert interpreted["inference_equals_training"]


def seen_keys(pattern: str, numbers: tuple[int, ...], p: int, m: int) -> set[int]:
    """The keys that the query at position p sees without a causal mask, as the papers list them."""
    every = set(range(m))
    if pattern == "window":
        return every & set(range(p - numbers[0], p + numbers[0] + 1))
    if pattern == "block_local":
        start = p - p % numbers[0]
        return every & set(range(start, start + numbers[0]))
    if pattern == "dilated":
        return every & {p + sign * numbers[1] * t for t in range(numbers[0] + 1) for sign in (-1, 1)}
    if pattern == "strided":
        columns = {p + sign * numbers[0] * t for t in range(m + abs(p) + 1) for sign in (-1, 1)}
        return every & (columns | seen_keys("window", numbers, p, m))
    w, g = numbers
    return every if p < g else set(range(min(g, m))) | seen_keys("window", (w,), p, m)


@pytest.mark.parametrize(("n", "m"), [(9, 9), (4, 9), (9, 4)])
@pytest.mark.parametrize("causal", [False, True])
def test_reference_against_loops(n: int, m: int, causal: bool) -> None:
    """The masks against listed keys, and masked attention one query at a time."""
    torch.manual_seed(0)
    q = torch.randn(1, 2, n, 4, dtype=torch.float64)
    k, v = torch.randn(2, 1, 1, m, 4, dtype=torch.float64)
    every = [("window", (2,)), ("window", (0,)), ("block_local", (3,)), ("dilated", (1, 3)), ("dilated", (2, 1))]
    for pattern, numbers in [*every, ("strided", (3,)), ("strided", (1,)), ("longformer", (1, 2))]:
        got = reference.masked_attention(q, k, v, getattr(reference, pattern)(*numbers, causal))
        for i in range(n):
            p = i + m - n
            keys = sorted(j for j in seen_keys(pattern, numbers, p, m) if not causal or j <= p)
            weights = torch.exp(q[0, :, i] @ k[0, 0, keys].T / 2)
            total = weights.sum(1, keepdim=True) if keys else torch.ones(2, 1)
            torch.testing.assert_close(got[0, :, i], weights @ v[0, 0, keys] / total)


TILES = Tiles(Tile(64, 32, 4, 2), Tile(32, 64, 4, 2), Tile(64, 32, 4, 2))


def derived(pattern: str, causal: bool, trace: Callable[..., PassTrace]) -> Any:
    """The matrix FLOPs of a pass with d_h = 16, as an expression in n and the pattern's numbers."""
    names = tuple(NUMBERS[pattern])
    shapes = {name: Shape("1,1,n,16") for name in "qkv"}
    arguments = {**shapes, **{name: Size(name) for name in names}, "causal": causal, "tiles": TILES}
    found = trace(Subject(attention(pattern), arguments, ("n", *names)), torch.bfloat16)
    assert not any(note.startswith("at most") or ": at most" in note for note in found.notes)
    return sum(record.matmul_flops for record in found.records)


SIZES = [(1, 1, 1), (64, 64, 2), (97, 20, 3), (300, 65, 5), (513, 100, 32)]


@pytest.mark.parametrize(
    ("pattern", "causal"),
    [("window", False), ("block_local", True), ("dilated", True), ("strided", True), ("longformer", False)],
)
def test_derived_forward_is_the_tiles_visited(pattern: str, causal: bool) -> None:
    """The formula in symbols holds at odd sizes too, and no part of it is a bound."""
    formula = derived(pattern, causal, trace_forward)
    for n, *numbers in SIZES:
        chosen = dict(zip(NUMBERS[pattern], numbers, strict=False))
        count = visited(pattern, tuple(chosen.values()), causal, n, (64, 32))
        assert evaluate(formula, {"n": n, **chosen}) == 2 * (2 * 64 * 32 * 16) * count, (n, chosen)


def test_derived_backward_is_the_tiles_visited() -> None:
    formula = derived("window", True, trace_backward)
    for n, w, _ in SIZES:
        dq, dk_dv = (visited("window", (w,), True, n, tile) for tile in ((64, 32), (32, 64)))
        assert evaluate(formula, {"n": n, "w": w}) == 2 * 64 * 32 * 16 * (3 * dq + 4 * dk_dv), (n, w)


@pytest.mark.parametrize("pattern", NUMBERS)
@pytest.mark.parametrize("causal", [False, True])
def test_symbolic_sizes_stay_symbolic(pattern: str, causal: bool) -> None:
    env = symbol_env()
    b, h_kv, group, n, m, x, y = symbols(env, b=2, k=3, r=2, n=300, m=500, x=40, y=7)
    with FakeTensorMode(shape_env=env), launches() as seen:
        shapes = ((b, h_kv * group, n, 64), (b, h_kv, m, 64), (b, h_kv, m, 64))
        q, k, v = (torch.empty(shape, dtype=torch.bfloat16, requires_grad=True) for shape in shapes)
        o = attention(pattern)(q, k, v, *(x, y)[: len(NUMBERS[pattern])], causal=causal)
        torch.autograd.grad(o, (q, k, v), torch.empty_like(o))
    passes = 2 if pattern == "strided" else 1
    kernels = ["forward_kernel"] * passes + ["delta_kernel"] + ["dk_dv_kernel"] * passes + ["dq_kernel"] * passes
    assert [launch.name for launch in seen] == kernels
    assert all(launch.grid[-1].node.expr.free_symbols for launch in seen)
    assert_nothing_specialised(env)


@pytest.mark.parametrize(("pattern", "numbers", "d_h"), [("strided", (128,), 64), ("longformer", (256, 64), 128)])
def test_compiles_for_hopper(pattern: str, numbers: tuple[int, ...], d_h: int) -> None:
    with FakeTensorMode(), launches() as seen:
        q, k, v = (torch.empty(2, heads, 4096, d_h, dtype=torch.bfloat16, requires_grad=True) for heads in (8, 2, 2))
        o = attention(pattern)(q, k, v, *numbers)
        torch.autograd.grad(o, (q, k, v), torch.empty_like(o))
    for launch in seen:
        if launch.name == "delta_kernel":  # flash's own
            continue
        built = build(launch)
        assert built.shared_bytes <= 227 * 1024, (launch.name, built)
        # At a head width of 128 the fastest dk_dv tile spills: with more warps it would not, and takes twice as long.
        assert built.spilled_bytes <= 400, (launch.name, built)


@pytest.mark.parametrize(
    ("pattern", "numbers", "message"),
    [
        ("window", (-1,), "w must be at least 0, got -1"),
        ("window", (1.5,), "w must be an integer, got 1.5"),
        ("window", (True,), "w must be an integer, got True"),
        ("block_local", (0,), "c must be at least 1, got 0"),
        ("dilated", (3, 0), "r must be at least 1, got 0"),
        ("strided", (0,), "s must be at least 1, got 0"),
        ("longformer", (3, -2), "g must be at least 0, got -2"),
        ("longformer", ("3", 2), "w must be an integer, got '3'"),
    ],
)
def test_refused_numbers(pattern: str, numbers: tuple[Any, ...], message: str) -> None:
    with FakeTensorMode(), pytest.raises(ValueError, match=message):
        attention(pattern)(*[torch.empty(1, 1, 4, 16)] * 3, *numbers)


def test_refused_tensors() -> None:
    with FakeTensorMode():
        x = torch.empty(1, 2, 40, 16)
        with pytest.raises(ValueError, match="head width 48 is not one of"):
            window.window_attention(*[torch.empty(1, 1, 4, 48)] * 3, 2)
        with pytest.raises(ValueError, match="batch is 1, but k has 2"):
            window.strided_attention(x, *[torch.empty(2, 2, 40, 16)] * 2, 2)
        with pytest.raises(ValueError, match="2 query heads are not a multiple of 3"):
            window.block_local_attention(x, *[torch.empty(1, 3, 40, 16)] * 2, 2)
        with pytest.raises(ValueError, match="must be "):
            window.dilated_attention(*[torch.empty(16)] * 3, 2, 2)
        with pytest.raises(ValueError, match="share one dtype"):
            window.longformer_attention(x.half(), x, x, 2, 2)
        with pytest.raises(ValueError, match="every size must be at least 1"):
            window.window_attention(*[torch.empty(1, 2, 0, 16)] * 3, 2)
        with pytest.raises(ValueError, match="one device"):
            window.window_attention(x, x, x.to("meta"), 2)
        with pytest.raises(ValueError, match="exceeds the grid limit 65535"):
            window.window_attention(*[torch.empty(1, 1, 3_000_000, 16)] * 3, 2)
    with pytest.raises(ValueError, match="need a CUDA device"):
        window.window_attention(*[torch.randn(1, 1, 4, 16)] * 3, 2)
