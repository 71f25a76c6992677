"""The mixture of experts: its kernels as derived against what Triton's interpreter counts for routings that are known,
its torch parts against torch's FLOP counter, what it declares of routings against all of them, and its values.
"""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from oracles.evaluation import evaluate  # noqa: E402
from oracles.interpreter import count_launches  # noqa: E402
from techniques import moe_launchers  # noqa: E402
from techniques.moe_launchers import LAUNCHES, launch, tiles_of  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from tfcost.analysis.routing import of_histogram  # noqa: E402
from tfcost.cost import Cost  # noqa: E402
from tfcost.derive.costs import derive_variant  # noqa: E402
from tfcost.derive.subject import Size, Subject, Tensor  # noqa: E402
from tfcost.derive.trace import trace_forward  # noqa: E402
from tfcost.formula import Formula  # noqa: E402
from tfcost.techniques import moe  # noqa: E402
from tfcost_kernels.moe.experts import Settings  # noqa: E402
from tfcost_kernels.moe.reference import moe_reference  # noqa: E402
from tfcost_kernels.moe.routing import plan, route  # noqa: E402

AMOUNTS = {"dot": "matmul_flops", "load": "read_bytes", "store": "write_bytes"}
Routing = list[list[int]]


def spread(tokens: int, k: int, count: int) -> Routing:
    """Uneven, but every expert in turn: token t goes to k experts from t*t on."""
    return [[(token * token + choice) % count for choice in range(k)] for token in range(tokens)]


# Routing, d, f, experts.
CASES: list[tuple[Routing, int, int, int]] = [
    (spread(1, 1, 1), 1, 1, 1),
    (spread(1, 3, 5), 17, 15, 5),
    (spread(19, 2, 3), 33, 18, 3),
    (spread(20, 1, 5), 16, 32, 5),
    (spread(13, 4, 4), 15, 17, 4),
    ([[0]] * 33, 20, 18, 3),  # one expert has everything
    ([[2, 0]] * 8 + [[2, 1]] * 9, 16, 33, 4),  # and one nothing
    (spread(140, 1, 2), 7, 9, 2),  # more row tiles than a band holds
    (spread(3, 1, 2), 5, 290, 2),  # more tiles of an expert's width than a band holds
]
TILES = ((16, 32, 16), (16, 16, 32), (32, 32, 16))

# Routings as even and as uneven as the variants say, for the tiles of the table: the second leaves one row beyond each
# full tile. Variant, routing, whether the backward pass runs too.
EVEN = [[expert, (expert + 1) % 3] for expert in range(3) for _ in range(33)]
UNEVEN = [[0]] + [[1]] + [[2]] * 129
PASSES = (("balanced", EVEN, False), ("worst", UNEVEN, True))
PASS_SIZES = {"d": 5, "f": 70, "count": 3}


def tile_of(place: int) -> tuple[int, int, int]:
    return TILES[place % len(TILES)]


@cache
def derived(name: str, tile: tuple[int, int, int]) -> dict[str, sp.Expr]:
    """The launch on symbolic sizes, its maps made by the plan, whose numbers are declared as the technique does it."""

    def run(x: Any, scale: Any, w_gate: Any, w_up: Any, w_down: Any, chosen: Any, k: Any) -> Any:
        tiles = tiles_of(*tile)
        maps = plan(chosen, w_gate.shape[0], tile[0])
        moe.declare_routing(maps, tiles)
        return launch(name, x, scale, w_gate, w_up, w_down, Settings(maps, k, "silu", tiles))

    shapes = {"x": "T,d", "w_gate": "E,f,d", "w_up": "E,f,d", "w_down": "E,d,f"}
    arguments: dict[str, Any] = {name: Tensor(shape) for name, shape in shapes.items()}
    arguments |= {"scale": Tensor("T,k", dtype=torch.float32), "chosen": Tensor("T,k", "index"), "k": Size("k")}
    trace = trace_forward(Subject(run, arguments, ("T", "d", "f", "E", "k")), torch.float16)
    assert not trace.notes  # nothing is only bounded
    records = [record for record in trace.records if record.launch]
    assert sum(record.launches for record in records) == 1
    return {kind: sp.Add(*(getattr(record, amount) for record in records)) for kind, amount in AMOUNTS.items()}


def histogram(routing: Routing) -> list[int]:
    """The rows of each expert that has any."""
    return list(Counter(expert for experts in routing for expert in experts).values())


def tiles_needed(rows: list[int], size: int) -> int:
    return sum(-(-count // size) for count in rows)


def places(name: str) -> range:
    """The cases of a launch: every second one. Each kernel has launches of both kinds."""
    return range(LAUNCHES.index(name) % 2, len(CASES), 2)


@pytest.fixture(scope="module")
def counted() -> dict[str, list[dict[str, int]]]:
    """What the interpreter counts for the cases of every launch and for whole passes, in one process."""
    calls: list[tuple[str, dict[str, Any]]] = []
    for name in LAUNCHES:
        for place in places(name):
            routing, d, f, count = CASES[place]
            case = {"chosen": routing, "d": d, "f": f, "count": count, "tile": tile_of(place)}
            calls.append(("kernel", {"name": name, **case}))
    for _, routing, backward in PASSES:
        calls.append(("layer", {"chosen": routing, **PASS_SIZES, "backward": backward}))
    counts = iter(count_launches(Path(moe_launchers.__file__), calls))
    return {name: [next(counts) for _ in places(name)] for name in LAUNCHES} | {"passes": list(counts)}


@pytest.mark.parametrize("name", LAUNCHES)
def test_kernel_equals_interpreter(name: str, counted: dict[str, list[dict[str, int]]]) -> None:
    for place, truth in zip(places(name), counted[name], strict=True):
        routing, d, f, count = CASES[place]
        rows_of_tile, _, inner = tile_of(place)
        rows, slots = histogram(routing), len(routing) * len(routing[0])
        tiles = tiles_needed(rows, rows_of_tile)
        steps = sp.ceiling(sp.Symbol("expert_rows", integer=True, positive=True) / inner)
        mean_steps = sp.Rational(tiles_needed(rows, inner), count)
        values: dict[str, Any] = {"T": len(routing), "k": len(routing[0]), "d": d, "f": f, "E": count, "tiles": tiles}
        values |= {"tile_rows": Fraction(slots, tiles), "expert_rows": Fraction(slots, count)}
        cost = derived(name, tile_of(place))
        found = {kind: evaluate(amount.xreplace({steps: mean_steps}), values) for kind, amount in cost.items()}
        assert found == {kind: truth.get(kind, 0) for kind in AMOUNTS}, CASES[place]


@cache
def costs(routing: str) -> dict[str, Cost]:
    variant = next(v for v in moe.TECHNIQUE.variants() if v.options == {"routing": routing, "shared": 0})
    return {cost.pass_: cost for cost in derive_variant(moe.TECHNIQUE, variant)}


def test_whole_passes_equal_the_interpreter(counted: dict[str, list[dict[str, int]]]) -> None:
    for (name, routing, backward), truth in zip(PASSES, counted["passes"], strict=True):
        sizes = {"d": PASS_SIZES["d"], "f": PASS_SIZES["f"], "E": PASS_SIZES["count"]}
        values = {"b": 1, "n": len(routing), "k": len(routing[0]), **sizes}
        found = of_kernels(costs(name)["forward"], values)
        if backward:
            found.update(of_kernels(costs(name)["backward"], values))
            # A forward pass that trains stores two products more: gate and up, T*k rows of f.
            found["store"] += 2 * 2 * len(routing) * len(routing[0]) * sizes["f"]
        assert found == {kind: truth[kind] for kind in AMOUNTS}


def test_a_histogram_gives_what_the_interpreter_counts(counted: dict[str, list[dict[str, int]]]) -> None:
    """From the cost of an even routing, for one that is not."""
    sizes = {"b": 1, "n": len(UNEVEN), "k": 1, "d": PASS_SIZES["d"], "f": PASS_SIZES["f"], "E": PASS_SIZES["count"]}
    rows = histogram(UNEVEN)
    found = Counter({"store": 2 * 2 * len(UNEVEN) * sizes["f"]})  # for training the forward pass keeps gate and up
    for cost in costs("balanced").values():
        for kind, name in AMOUNTS.items():
            amounts = [one.amounts[name] for one in cost.operations if one.launch and name in one.amounts]
            found[kind] += sum(of_histogram(amount, rows, sizes).evaluate(sizes) for amount in amounts)
    assert found == {kind: counted["passes"][1][kind] for kind in AMOUNTS}


def of_kernels(cost: Cost, values: dict[str, int]) -> Counter[str]:
    """What the kernels of a pass do, torch's own operations left out."""
    amounts = [operation.amounts for operation in cost.operations if operation.launch]
    sums = {kind: sum(found[name].evaluate(values) for found in amounts if name in found)
            for kind, name in AMOUNTS.items()}  # fmt: skip
    assert all(total == int(total) for total in sums.values())
    return Counter({kind: int(total) for kind, total in sums.items()})


def test_what_depends_on_the_routing_is_declared() -> None:
    for name in ("balanced", "worst"):
        for cost in costs(name).values():
            provenance = {quantity: found.provenance for quantity, found in cost.quantities.items()}
            assert provenance["matmul_flops"] == provenance["issued_bytes"] == "declared"
            assert provenance["peak_bytes"] == "traced"
            assert cost.assumptions
            assert set(cost.symbols) <= {"b", "n", "d", "f", "E", "k"}
    assert all(found.provenance != "declared" for found in costs("capacity")["forward"].quantities.values())


def histograms(slots: int, count: int) -> Iterator[list[int]]:
    """All ways to spread rows over experts."""
    for bars in combinations(range(slots + count - 1), count - 1):
        edges = [-1, *bars, slots + count - 1]
        yield [after - before - 1 for before, after in pairwise(edges)]


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_declared_tiles_against_all_routings(rows: int) -> None:
    most, even = Formula(moe.most_tiles(rows)), Formula(moe.even_tiles(rows))
    for count in (1, 2, 3, 4):
        for slots in range(1, 15):
            values = {"b": 1, "n": slots, "k": 1, "E": count}
            needed = {tuple(found): tiles_needed(found, rows) for found in histograms(slots, count)}
            largest = max(needed.values())
            assert most.evaluate(values) == largest if slots >= count else most.evaluate(values) >= largest
            assert largest <= -(-slots // rows) + count  # the map has room, and a place to spare
            if slots % count == 0:
                assert even.evaluate(values) == needed[(slots // count,) * count]


def weights(d: int, f: int, count: int, shared: bool = False) -> list[Any]:
    torch.manual_seed(0)
    shapes = [(count, d), (count, f, d), (count, f, d), (count, d, f)]
    shapes += [(f, d), (f, d), (d, f)] if shared else []
    return [torch.randn(shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize(("n", "d", "f", "count", "k"), [(7, 6, 10, 4, 2), (13, 9, 5, 3, 3), (1, 4, 4, 5, 1)])
def test_algorithmic_flops_are_those_of_the_reference_one_expert_at_a_time(
    n: int, d: int, f: int, count: int, k: int
) -> None:
    x, (router, *rest) = torch.randn(n, d, dtype=torch.float64), weights(d, f, count)
    inputs = [tensor.requires_grad_() for tensor in (x, router, *rest)]
    chosen = route(x, router, k)[1]
    with FlopCounterMode(display=False) as forward:
        out = moe_reference(*inputs, experts=chosen)
    with FlopCounterMode(display=False) as backward:
        torch.autograd.grad(out, inputs, torch.ones_like(out))
    values = {"b": 1, "n": n, "d": d, "f": f, "E": count, "k": k}
    for pass_, counter in (("forward", forward), ("backward", backward)):
        derived_flops = costs("balanced")[pass_].quantities["algorithmic_flops"].exact.evaluate(values)
        assert derived_flops == counter.get_total_flops()


def test_reference_and_capacity_compute_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moe, "check_experts", lambda *_: None)  # which asks for a GPU
    monkeypatch.setattr(moe, "gated_activation", lambda gate, up: torch.nn.functional.silu(gate) * up)
    monkeypatch.setattr(moe, "route", lambda x, w, k: (_weights(x, w, k), route(x, w, k)[1]))
    x, given = torch.randn(2, 8, 6, dtype=torch.float64), weights(6, 10, 4, shared=True)
    main, shared = given[:4], tuple(given[4:])
    chosen = route(x.view(-1, 6), main[0], 2)[1]
    dense = torch.nn.functional.silu(x @ shared[0].T) * (x @ shared[1].T) @ shared[2].T
    wanted = moe_reference(x.view(-1, 6), *main, experts=chosen).view(x.shape) + dense
    torch.testing.assert_close(moe.reference(x, *main, k=2, w_shared=shared), wanted)
    torch.testing.assert_close(moe.with_capacity(x, *main, k=2, c=16, w_shared=shared), wanted)


def _weights(x: Any, w: Any, k: int) -> Any:
    """The router's weights in double precision: the layer's own are in single."""
    chosen = (x @ w.T).softmax(-1).topk(k).values
    return chosen / chosen.sum(-1, keepdim=True)


@pytest.mark.parametrize("c", [1, 3, 100])
def test_capacity_drops_the_last_tokens(c: int) -> None:
    chosen = torch.tensor(spread(11, 2, 4))
    row_of, slot_of = (tensor.tolist() for tensor in moe.capacity_places(chosen, 4, c))
    taken: dict[int, list[int]] = {expert: [] for expert in range(4)}
    for slot, expert in enumerate(chosen.flatten().tolist()):
        dropped = len(taken[expert]) == c
        assert row_of[slot] == (4 * c if dropped else expert * c + len(taken[expert]))
        if not dropped:
            taken[expert].append(slot)
    assert slot_of == [slot for rows in taken.values() for slot in [*rows, *[22] * (c - len(rows))]]


@pytest.mark.parametrize(("b", "n", "c", "k"), [(2, 5, 3, 2), (1, 9, 1, 1), (1, 4, 20, 3)])
def test_capacity_equals_the_flop_counter(b: int, n: int, c: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moe, "check_experts", lambda *_: None)  # which asks for a GPU
    monkeypatch.setattr(moe, "gated_activation", lambda gate, up: torch.nn.functional.silu(gate) * up)
    inputs = [torch.randn(b, n, 6), *(tensor.float() for tensor in weights(6, 10, 4))]
    inputs = [tensor.requires_grad_() for tensor in inputs]
    with FlopCounterMode(display=False) as forward:
        out = moe.with_capacity(*inputs, k=k, c=c)
    with FlopCounterMode(display=False) as backward:
        torch.autograd.grad(out, inputs, torch.ones_like(out))
    values = {"b": b, "n": n, "d": 6, "f": 10, "E": 4, "k": k, "c": c}
    for pass_, counter in (("forward", forward), ("backward", backward)):
        flops = costs("capacity")[pass_].quantities["matmul_flops"].exact.evaluate(values)
        assert flops == counter.get_total_flops()
