"""Data that is as a cost supposes: routings of experts, the sizes of buckets. Made here, and checked by the technique's
own functions.

In: the random arguments of a case. They are changed in place where the technique's cost depends on what is in them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tfcost.errors import UserError
from tfcost.evidence.record import Case
from tfcost.measure.arguments import whole
from tfcost.techniques import moe
from tfcost.techniques.buckets import buckets
from tfcost_kernels.moe.routing import route

Arguments = Mapping[str, Any]
# How far chosen experts stand out above others, in the router's units, and keys above their own noise.
_LOGIT, _LENGTH = 12.0, 24.0


def meet_facts(case: Case, arguments: Arguments) -> None:
    """Makes the data of `arguments` what the cost of `case` supposes. UserError if it does not come out so."""
    with torch.no_grad():
        for fits, make in _MAKERS:
            if fits(case):
                make(case, arguments)


def _is_routed(case: Case) -> bool:
    return case.technique == "moe" and case.variant["routing"] in ("balanced", "worst")


def _route_as_supposed(case: Case, arguments: Arguments) -> None:
    """Adds to each token the router's rows of the experts it is to go to."""
    x, w_router, k = arguments["x"].view(-1, case.sizes["d"]), arguments["w_router"], case.sizes["k"]
    rows = rows_of_experts(case)
    chosen = spread(rows, x.shape[0], k).to(x.device)
    w_router /= w_router.norm(dim=1, keepdim=True)
    for choice in range(k):
        x += _LOGIT * w_router[chosen[:, choice]]
    found = torch.bincount(route(x, w_router, k)[1].flatten(), minlength=len(rows)).tolist()
    if found != rows:
        raise UserError(f"tokens were to spread over experts as {rows}, but went as {found}")


def rows_of_experts(case: Case) -> list[int]:
    """How many tokens each expert gets: the same number, or one more than full tiles, as many tiles as can be."""
    tokens, count = case.sizes["b"] * case.sizes["n"], case.sizes["E"]
    slots = tokens * case.sizes["k"]
    if case.variant["routing"] == "balanced":
        if slots % count:
            raise UserError(f"{slots} rows do not spread evenly over {count} experts")
        return [slots // count] * count
    full, rest = divmod(slots - count, moe.TILE_ROWS)
    rows = [1 + moe.TILE_ROWS * (full // count + (expert < full % count)) for expert in range(count)]
    rows[-1] += rest
    sizes = {**case.sizes}
    for tile in (moe.TILE_ROWS, moe.STEP_ROWS):
        if sum(-(-each // tile) for each in rows) != whole(moe.most_tiles(tile), sizes):
            raise UserError(f"no routing of {slots} rows is the worst for tiles of {moe.TILE_ROWS} and {moe.STEP_ROWS}")
    return rows


def spread(rows: Sequence[int], tokens: int, k: int) -> Tensor:
    """Experts by token [tokens, k], no expert twice for a token, `rows[e]` places of expert e (at most one a token)."""
    slots = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(rows))
    return slots.view(k, tokens).T.contiguous()


def _has_buckets(case: Case) -> bool:
    return case.technique == "cluster" and not case.variant["balanced"]


def _fill_buckets(case: Case, arguments: Arguments) -> None:
    """Moves keys to directions such that the largest bucket has k tokens and no other has more."""
    k, directions, lsh = arguments["k"], arguments["directions"], bool(arguments["lsh"])
    directions /= directions.norm(dim=1, keepdim=True)
    both = torch.cat([directions, -directions], dim=-1) if lsh else directions
    n, largest, count = case.sizes["n"], case.sizes["k"], both.shape[-1]
    others = n - largest
    if not 0 <= others <= largest * (count - 1):
        raise UserError(f"{n} tokens in {count} buckets cannot have {largest} in the largest")
    bucket = torch.cat([torch.zeros(largest, dtype=torch.int64), 1 + torch.arange(others) % max(1, count - 1)])
    bucket = bucket[torch.randperm(n)].to(k.device)
    k += _LENGTH * both.transpose(1, 2)[:, bucket]
    sizes = torch.nn.functional.one_hot(buckets(k, directions, lsh), count).sum(dim=2)
    if int(sizes.max()) != largest or int(sizes.max(dim=-1).values.min()) != largest:
        raise UserError(f"the largest bucket was to have {largest} tokens, but has {int(sizes.max())}")


def _is_adamw(case: Case) -> bool:
    return case.technique == "transformer" and case.variant.get("part") == "adamw"


def _square_moments(case: Case, arguments: Arguments) -> None:
    """Second moments are means of squares."""
    arguments["second"].abs_()


_MAKERS: tuple[tuple[Callable[[Case], bool], Callable[[Case, Arguments], None]], ...] = (
    (_is_routed, _route_as_supposed),
    (_has_buckets, _fill_buckets),
    (_is_adamw, _square_moments),
)
