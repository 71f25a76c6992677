"""The I/O bound of a tiled cost: the theorem's n**2*d_h**2/M from formulas of the tile; nothing without them."""

from dataclasses import replace

import pytest

from tfcost.analysis.tiling import tile_bound
from tfcost.book import load_book
from tfcost.cost import TILED_MEMORY, TILED_TRAFFIC, Cost
from tfcost.errors import UserError
from tfcost.formula import Formula


@pytest.fixture(scope="module")
def cost() -> Cost:
    values = {"n": 1024, "m": 1024, "h": 1, "h_kv": 1, "d_h": 64}
    return load_book().find("standard", scope="core", pass_="forward", dtype="bfloat16", variant={}, values=values)


def test_a_cost_without_a_tile_has_no_bound(cost: Cost) -> None:
    assert tile_bound(cost) is None


def test_the_tile_turns_traffic_into_the_class_of_the_theorem(cost: Cost) -> None:
    tiled = {TILED_TRAFFIC: Formula("4*n*d_h + 4*n**2*d_h/B_M"), TILED_MEMORY: Formula("8*B_M*d_h + 4*B_M*B_N")}
    bound = tile_bound(replace(cost, composition=tiled))
    assert bound is not None
    assert (bound.theta.text, bound.tile.text) == ("n**2*d_h**2/M", "M/d_h")


def test_memory_without_a_tile_is_an_error(cost: Cost) -> None:
    tiled = {TILED_TRAFFIC: Formula("4*n*d_h"), TILED_MEMORY: Formula("4*d_h")}
    with pytest.raises(UserError, match="does not depend on B_M"):
        tile_bound(replace(cost, composition=tiled))
