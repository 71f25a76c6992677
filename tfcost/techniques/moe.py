"""Mixture of experts: a router sends each token to k of E gated feed-forward networks and adds up what they return.

Without a capacity no token is dropped: rows are sorted by expert and the Triton kernels in `kernels/moe` multiply them
tile by tile (Gale et al. 2022, arXiv 2211.15841). How many tiles there are depends on the routing, which only real data
decides; `declared` says what a variant supposes of it. With a capacity every expert takes c tokens, full or not
(Lepikhin et al. 2020, arXiv 2006.16668).
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.declared import declare
from tfcost.derive.subject import Size, Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost_kernels.ffn import gated_activation
from tfcost_kernels.moe.experts import Settings, experts
from tfcost_kernels.moe.layer import check_experts
from tfcost_kernels.moe.routing import Plan, plan, route
from tfcost_kernels.moe.tiles import Tiles, tiles_for

# Rows per tile of the products, and rows per step of the weights' gradients.
_TILES = tiles_for(2)
TILE_ROWS, STEP_ROWS = _TILES.product.rows, _TILES.weight_grad.inner


def dropless(
    x: Tensor, w_router: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, k: int,
    w_shared: tuple[Tensor, Tensor, Tensor] | None = None, tiles: Tiles = _TILES,
) -> Tensor:  # fmt: skip
    """Every token through its k experts. x: [b, n, d]; w_router: [E, d]; w_gate, w_up: [E, f, d]; w_down: [E, d, f].

    `w_shared` are gate [f, d], up [f, d] and down [d, f] of one more expert, which every token goes to. Raises
    ValueError for shapes, dtypes or devices that do not fit together, and for a k below 1 or above E.
    """
    tokens = x.contiguous().view(-1, x.shape[2])
    check_experts(tokens, w_router, w_gate, w_up, w_down, k)
    with step("router"):
        scale, chosen = route(tokens, w_router, k)
    with step("order"):
        maps = plan(chosen, w_router.shape[0], tiles.product.rows)
    declare_routing(maps, tiles)
    with step("experts"):
        out = experts(tokens, scale, w_gate, w_up, w_down, Settings(maps, k, "silu", tiles))
    return _with_shared(tokens, out, w_shared).view(x.shape)


def declare_routing(maps: Plan, tiles: Tiles) -> None:
    """The numbers in the maps as symbols: how many `tiles` there are, the `tile_rows` of one, an expert's
    `expert_rows`. Rows are counted from where the tile or the expert begins.
    """
    declare(maps.tiles, "tiles", at_most=maps.expert.shape[0])
    declare(maps.first, "0")
    declare(maps.stop, "tile_rows", at_most=tiles.product.rows)
    declare(maps.starts, "0")
    declare(maps.ends, "expert_rows", at_most=maps.order.shape[0])


def with_capacity(
    x: Tensor, w_router: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, k: int, c: int,
    w_shared: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """As `dropless`, with c rows for each expert, [E, c, d]: what does not fit is dropped, what is left over is 0.

    Raises ValueError for a c below 1, too.
    """
    tokens = x.contiguous().view(-1, x.shape[2])
    check_experts(tokens, w_router, w_gate, w_up, w_down, k)
    if isinstance(c, int) and c < 1:
        raise ValueError(f"an expert must take at least 1 token, got c = {c}")
    with step("router"):
        scale, chosen = route(tokens, w_router, k)
    with step("order"):
        row_of, slot_of = capacity_places(chosen, w_router.shape[0], c)
    with step("dispatch"):
        # One row of zeros after the last token, for the places that stay empty.
        padded = torch.cat([tokens, tokens.new_zeros(1, tokens.shape[1])])
        rows = padded.index_select(0, slot_of // k).view(-1, c, tokens.shape[1])
    with step("experts"):
        hidden = gated_activation(rows @ w_gate.transpose(1, 2), rows @ w_up.transpose(1, 2))
        returned = (hidden @ w_down.transpose(1, 2)).view(-1, tokens.shape[1])
    with step("combine"):
        # And one after the last row, which the dropped slots return.
        returned = torch.cat([returned, returned.new_zeros(1, tokens.shape[1])])
        by_slot = returned.index_select(0, row_of).view(-1, k, tokens.shape[1])
        out = (by_slot * scale.to(x.dtype).unsqueeze(-1)).sum(1)
    return _with_shared(tokens, out, w_shared).view(x.shape)


def capacity_places(chosen: Tensor, count: int, c: int) -> tuple[Tensor, Tensor]:
    """For each slot of `chosen` [T, k] its row among the experts' [count·c], count·c if it is dropped; and for each row
    its slot, T·k if it stays empty. Earlier tokens come first.
    """
    by_row, order = chosen.reshape(-1).sort(stable=True)
    every = torch.arange(count, device=chosen.device)
    within = torch.arange(by_row.shape[0], device=chosen.device) - torch.searchsorted(by_row, every)[by_row]
    place = torch.where(within < c, by_row * c + within, count * c)
    row_of = torch.empty_like(order).scatter(0, order, place)
    slot_of = torch.full((count * c + 1,), by_row.shape[0], device=chosen.device).scatter(0, place, order)
    return row_of, slot_of[:-1]


def _with_shared(tokens: Tensor, out: Tensor, w_shared: tuple[Tensor, Tensor, Tensor] | None) -> Tensor:
    """`out` plus what an expert returns that every token goes to."""
    if w_shared is None:
        return out
    w_gate, w_up, w_down = w_shared
    with step("shared expert"):
        return out + F.linear(gated_activation(F.linear(tokens, w_gate), F.linear(tokens, w_up)), w_down)


def reference(
    x: Tensor, w_router: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, k: int,
    w_shared: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """What the mathematics asks for: every token times the matrices of its own experts, looked up one by one."""
    tokens = x.view(-1, x.shape[2])
    scale, chosen = route(tokens, w_router, k)
    slots = chosen.reshape(-1)
    columns = tokens.unsqueeze(1).expand(-1, k, -1).reshape(-1, x.shape[2], 1)
    hidden = F.silu(torch.bmm(w_gate[slots], columns)) * torch.bmm(w_up[slots], columns)
    by_slot = torch.bmm(w_down[slots], hidden).view(-1, k, x.shape[2])
    out = (by_slot * scale.to(x.dtype).unsqueeze(-1)).sum(1)
    if w_shared is not None:
        gate, up, down = w_shared
        out = out + F.linear(F.silu(F.linear(tokens, gate)) * F.linear(tokens, up), down)
    result: Tensor = out.view(x.shape)
    return result


_SHARED = {"shared_gate": "f,d", "shared_up": "f,d", "shared_down": "d,f"}


def _subject(layer: Callable[..., Tensor], shared: int, **sizes: Size) -> Subject:
    weights = {"w_router": "E,d", "w_gate": "E,f,d", "w_up": "E,f,d", "w_down": "E,d,f", **(_SHARED if shared else {})}

    def run(k: int, **given: Any) -> Tensor:
        extra = tuple(given.pop(name) for name in _SHARED) if shared else None
        return layer(**given, k=k, w_shared=extra)

    parameters = {name: Shape(shape, "parameter") for name, shape in weights.items()}
    names = ("b", "n", "d", "f", "E", "k", *sizes)
    # torch compares k with E: no token goes to more experts than there are.
    return Subject(run, {"x": Shape("b,n,d"), **parameters, "k": Size("k"), **sizes}, names, hints={"k": 3})


def even_tiles(rows: int) -> str:
    """The tiles of `rows` rows if every expert gets the same number of tokens."""
    return f"(E*ceiling(b*n*k/({rows}*E)))"


def most_tiles(rows: int) -> str:
    """As many tiles of `rows` rows as a routing can need: every expert has one row more than its full tiles."""
    return f"(E + floor((b*n*k - E)/{rows}))"


def routing_facts(tiles: Callable[[int], str]) -> tuple[tuple[str, str], ...]:
    """What `declare_routing` leaves open: b·n·k rows lie with the experts and fill `tiles(r)` tiles of r rows."""
    return (
        (f"ceiling(expert_rows/{STEP_ROWS})", f"{tiles(STEP_ROWS)}/E"),
        ("expert_rows", "b*n*k/E"),
        ("tile_rows", "b*n*k/tiles"),
        ("tiles", tiles(TILE_ROWS)),
    )


_CHOICE = "k <= E"
_ROUTINGS = {
    "balanced": (even_tiles, "E divides b*n*k: every expert gets b*n*k/E tokens"),
    "worst": (most_tiles, f"b*n*k >= E: the most tiles of {TILE_ROWS} rows that a routing can need"),
}


def _variants() -> Iterator[Variant]:
    for shared in (0, 1):
        ideal = _subject(reference, shared)
        subject = _subject(dropless, shared)
        for routing, (tiles, assumption) in _ROUTINGS.items():
            yield Variant(
                "layer", {"routing": routing, "shared": shared}, subject, (), (_CHOICE, assumption), ideal,
                dtypes=("bfloat16", "float16"), declared=routing_facts(tiles),
            )  # fmt: skip
        capacity = _subject(with_capacity, shared, c=Size("c"))
        assumptions = (_CHOICE, "an expert takes c tokens; what more it is sent is dropped")
        yield Variant(
            "layer", {"routing": "capacity", "shared": shared}, capacity, (), assumptions, ideal,
            dtypes=("bfloat16", "float16"),
        )  # fmt: skip


TECHNIQUE = Technique(
    name="moe",
    title="Mixture of experts",
    section="4.1",
    implementation="triton",
    summary="A router sends each token to k of E gated feed-forward networks; only those are computed.",
    options={
        "routing": Option(
            (*_ROUTINGS, "capacity"), "balanced",
            "how tokens spread over experts, none dropped: evenly, or as badly as can be; or c for each expert",
        ),
        "shared": Option((0, 1), 0, "one more expert that every token goes to"),
    },
    defaults={"E": 8, "k": 2, "c": 1280},
    claims=(
        Claim("4.1", "time", Formula("n*(d**2/k + d*E)"), "time O(n(d²/k + d·E)), k experts per token"),
        Claim("4.1", "space", Formula("d**2*E"), "space O(d²·E), the parameters of all experts"),
    ),
    variants=_variants,
)  # fmt: skip
