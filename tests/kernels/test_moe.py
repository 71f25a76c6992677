"""The mixture of experts on a CPU: routing, values and gradients in Triton's interpreter, symbolic launches, builds."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from kernels.interpreter_run import assert_close, run_driver  # noqa: E402
from kernels.moe_cases import CASES  # noqa: E402
from kernels.symbolic_launch import assert_nothing_specialised, build, launches, symbol_env, symbols  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from tfcost_kernels.moe import moe_ffn  # noqa: E402
from tfcost_kernels.moe.reference import moe_reference  # noqa: E402
from tfcost_kernels.moe.routing import plan, route  # noqa: E402
from tfcost_kernels.moe.tiles import Tile, Tiles  # noqa: E402

FORWARD = ["gate_up_kernel", "product_kernel"]
BACKWARD = ["product_kernel", "activation_backward_kernel", "product_kernel", *["weight_grad_kernel"] * 3]


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    return run_driver(Path(__file__).with_name("moe_cases.py"))


@pytest.mark.parametrize("index", range(len(CASES)), ids=["-".join(map(str, case)) for case in CASES])
def test_outputs_and_gradients(interpreted: dict[str, Any], index: int) -> None:
    assert_close(interpreted["errors"][index])


def test_inference_equals_training(interpreted: dict[str, Any]) -> None:
    assert interpreted["inference_equals_training"]


def test_router_takes_the_likeliest_experts() -> None:
    torch.manual_seed(0)
    x, w_router = torch.randn(50, 8), torch.randn(6, 8)
    weights, experts = route(x, w_router, 3)
    for token in range(50):
        scores = [(x[token].double() @ w_router[expert].double()).exp().item() for expert in range(6)]
        best = sorted(range(6), key=lambda expert: -scores[expert])[:3]
        assert experts[token].tolist() == best
        wanted = [scores[expert] / sum(scores[other] for other in best) for expert in best]
        assert weights[token].tolist() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("tokens", "k", "count", "rows"), [(1, 1, 1, 16), (50, 2, 4, 16), (7, 3, 20, 4), (64, 1, 3, 8)]
)
def test_every_slot_is_in_one_tile_of_its_expert(tokens: int, k: int, count: int, rows: int) -> None:
    torch.manual_seed(0)
    # Experts 0 and the last get nothing where there are enough.
    chosen = torch.randint(min(1, count - 1), max(1, count - 1), (tokens, k))
    order, starts, ends, expert, first, stop, (tiles,) = (tensor.tolist() for tensor in plan(chosen, count, rows))
    assert tiles <= len(expert) == -(-tokens * k // rows) + count
    found = []
    for tile in range(tiles):
        assert 1 <= stop[tile] - first[tile] <= rows
        for row in range(first[tile], stop[tile]):
            assert chosen.flatten()[order[row]] == expert[tile]
            assert starts[expert[tile]] <= row < ends[expert[tile]]
            found.append(order[row])
    assert sorted(found) == list(range(tokens * k))
    assert sum(end - start for start, end in zip(starts, ends, strict=True)) == tokens * k


def test_reference_against_loops() -> None:
    """One token and one expert at a time."""
    torch.manual_seed(0)
    x, router = torch.randn(5, 4).double(), torch.randn(3, 4).double()
    gate, up, down = torch.randn(3, 6, 4).double(), torch.randn(3, 6, 4).double(), torch.randn(3, 4, 6).double()
    experts = torch.tensor([[0, 1], [2, 0], [1, 2], [1, 0], [2, 1]])
    got = moe_reference(x, router, gate, up, down, experts=experts)
    for token in range(5):
        scores = {expert: (router[expert] @ x[token]).exp() for expert in experts[token].tolist()}
        wanted = torch.zeros(4).double()
        for expert, score in scores.items():
            pre = gate[expert] @ x[token]
            hidden = pre / (1 + (-pre).exp()) * (up[expert] @ x[token])
            wanted += score / sum(scores.values()) * (down[expert] @ hidden)
        torch.testing.assert_close(got[token], wanted)


def test_symbolic_sizes_stay_symbolic() -> None:
    env = symbol_env()
    tokens, d, f, count, k = symbols(env, T=300, d=500, f=700, E=6, k=3)
    with FakeTensorMode(shape_env=env), launches() as seen:
        tensors = _tensors(tokens, d, f, count)
        out = moe_ffn(*tensors, k=k)
        torch.autograd.grad(out, tensors, torch.empty_like(out))
    assert [launch.name for launch in seen] == FORWARD + BACKWARD
    for launch in seen:
        assert all(isinstance(extent, int) or extent.node.expr.free_symbols for extent in launch.grid)
        assert not all(isinstance(extent, int) for extent in launch.grid)
    assert_nothing_specialised(env)


def _tensors(tokens: Any, d: Any, f: Any, count: Any) -> list[Any]:
    shapes = ((tokens, d), (count, d), (count, f, d), (count, f, d), (count, d, f))
    return [torch.empty(shape, dtype=torch.bfloat16, requires_grad=True) for shape in shapes]


def test_compiles_for_hopper() -> None:
    with FakeTensorMode(), launches() as seen:
        tensors = _tensors(4096, 1024, 2048, 8)
        out = moe_ffn(*tensors, k=2)
        torch.autograd.grad(out, tensors, torch.empty_like(out))
    # Two of the three weight gradients are the same launch.
    for launch in seen[:6] + seen[-1:]:
        built = build(launch)
        assert built.shared_bytes <= 227 * 1024
        assert built.spilled_bytes <= 16, (launch.name, built)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w_router": (4, 9)}, "w_router's width is 9, expected 8"),
        ({"w_router": (3, 8)}, "w_router's experts is 3, expected 4"),
        ({"w_gate": (4, 6, 9), "w_up": (4, 6, 9)}, "w_gate's width is 9, expected 8"),
        ({"w_up": (4, 7, 8)}, "w_up dimension 1 is 7, expected 6"),
        ({"w_down": (4, 6, 8)}, "w_down dimension 1 is 6, expected 8"),
        ({"x": (0, 8)}, "every size must be at least 1"),
        ({"x": (5, 1, 8)}, r"x must be \[T,d\]"),
        ({"k": 0}, "k must be 1 to the number of experts 4, got 0"),
        ({"k": 5}, "k must be 1 to the number of experts 4, got 5"),
        ({"activation": "tanh"}, "activation 'tanh' is not one of"),
        ({"tiles": Tiles(Tile(16, 16, 16, 4, 1), *[Tile(32, 16, 16, 4, 1)] * 2)}, "tiles need the same rows"),
    ],
)
def test_refused_arguments(change: dict[str, Any], message: str) -> None:
    shapes = {"x": (5, 8), "w_router": (4, 8), "w_gate": (4, 6, 8), "w_up": (4, 6, 8), "w_down": (4, 8, 6)}
    options = {"k": 2} | {name: value for name, value in change.items() if name not in shapes}
    with FakeTensorMode():
        tensors = {name: torch.empty(change.get(name, shape)) for name, shape in shapes.items()}
        with pytest.raises(ValueError, match=message):
            moe_ffn(**tensors, **options)


def test_refused_dtypes_and_devices() -> None:
    shapes = ((5, 8), (4, 8), (4, 6, 8), (4, 6, 8), (4, 8, 6))
    with FakeTensorMode():
        x, *weights = (torch.empty(shape) for shape in shapes)
        with pytest.raises(ValueError, match="share one dtype"):
            moe_ffn(x.half(), *weights, k=2)
        with pytest.raises(ValueError, match="one device"):
            moe_ffn(x.to("meta"), *weights, k=2)
    with pytest.raises(ValueError, match="need a CUDA device"):
        moe_ffn(*(torch.randn(shape) for shape in shapes), k=2)
