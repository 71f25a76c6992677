"""Experts with uneven numbers of rows: expected tiles against every routing there is and against random ones, both
through the kernels' own plan; histograms against the derived worst case.
"""

from collections import Counter
from fractions import Fraction
from itertools import combinations, product
from math import sqrt
from statistics import fmean, stdev

import pytest

from tfcost.analysis.routing import (
    expected_tiles,
    expected_value,
    of_histogram,
    tile_rows,
    uneven,
    with_tiles,
)
from tfcost.book import load_book
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from tfcost_kernels.moe.routing import plan  # noqa: E402

EVEN = Formula("6*E*ceiling(b*k*n/(4*E))*ceiling(d/256) + 2*E*ceiling(b*k*n/(8*E)) + b*k*n*ceiling(n/4)")


def sizes(tokens: int, k: int, experts: int) -> dict[str, int]:
    return {"b": 1, "n": tokens, "k": k, "E": experts, "d": 300, "f": 700}


@pytest.mark.parametrize(("tokens", "k", "experts", "rows"), [(4, 2, 4, 2), (5, 1, 3, 2), (3, 2, 3, 4), (4, 3, 3, 3)])
def test_expected_tiles_are_the_mean_over_all_routings(tokens: int, k: int, experts: int, rows: int) -> None:
    choices = list(combinations(range(experts), k))
    planned = [int(plan(torch.tensor(routing), experts, rows).tiles) for routing in product(choices, repeat=tokens)]
    found = expected_tiles(sizes(tokens, k, experts), rows)
    assert found.tiles == pytest.approx(fmean(planned), rel=1e-12)
    assert abs(found.closed.evaluate(sizes(tokens, k, experts)) - fmean(planned)) <= found.off + 1e-12


@pytest.mark.parametrize(("tokens", "k", "experts", "rows"), [(700, 2, 8, 16), (300, 4, 5, 64), (2000, 1, 4, 8)])
def test_expected_tiles_are_the_mean_over_random_routings(tokens: int, k: int, experts: int, rows: int) -> None:
    torch.manual_seed(0)
    planned = [float(plan(torch.rand(tokens, experts).topk(k).indices, experts, rows).tiles) for _ in range(400)]
    found = expected_tiles(sizes(tokens, k, experts), rows)
    assert abs(found.tiles - fmean(planned)) <= 5 * stdev(planned) / sqrt(len(planned)) + 1e-9
    assert abs(float(found.closed.evaluate(sizes(tokens, k, experts))) - found.tiles) <= found.off


def test_the_closed_form_becomes_exact_where_rows_vary_by_more_than_a_tile() -> None:
    off = [expected_tiles(sizes(tokens, 2, 8), 128).off for tokens in (1000, 10_000, 100_000)]
    assert off[0] > 1 > off[1] > 1e-9 > off[2]


def test_numbers_that_would_take_long_are_those_of_the_closed_form() -> None:
    found = expected_tiles(sizes(10**12, 2, 8), 128)
    assert found.tiles == pytest.approx(2 * 10**12 / 128 + 8 * 127 / 256, rel=1e-15)


def test_tiles_are_found_and_replaced_where_they_count_linearly() -> None:
    assert tile_rows(EVEN) == (4, 8)
    replaced = with_tiles(EVEN, lambda rows: Fraction(rows, 3))
    assert replaced.evaluate(sizes(10, 2, 5)) == 6 * 5 * Fraction(4, 3) * 2 + 2 * 5 * Fraction(8, 3) + 20 * 3
    for text in (
        "ceiling(b*k*n/(4*E))**2",
        "ceiling(b*k*n/(4*E))*ceiling(b*k*n/(8*E))",
        "Max(n, ceiling(b*k*n/(4*E)))",
    ):
        with pytest.raises(UserError, match="not linear in the tiles"):
            with_tiles(Formula(text), lambda rows: Fraction(rows))


@pytest.fixture(scope="module")
def even_and_worst() -> dict[tuple[str, str], Cost]:
    costs = load_book().record("moe").costs
    return {(cost.pass_, str(cost.variant["routing"])): cost for cost in costs if not cost.variant["shared"]}


@pytest.mark.parametrize("pass_", ["forward", "backward"])
def test_histograms_against_what_is_derived_of_the_worst_and_of_an_even_routing(
    even_and_worst: dict[tuple[str, str], Cost], pass_: str
) -> None:
    """The worst routing has one row more than full tiles with every expert."""
    even, worst = even_and_worst[pass_, "balanced"], even_and_worst[pass_, "worst"]
    values = sizes(400, 2, 4)
    for name in ("matmul_flops", "scalar_flops", "issued_bytes"):
        formula = even.quantities[name].exact
        assert of_histogram(formula, [200] * 4, values).evaluate(values) == formula.evaluate(values)
        assert of_histogram(formula, (1, 129, 271, 399), values).evaluate(values) <= worst.quantities[
            name
        ].exact.evaluate(values)
        tight = sizes(385, 2, 2)  # 770 rows: 385 each are one row more than three tiles of 128, six steps of 64
        found = of_histogram(formula, (385, 385), tight).evaluate(tight)
        assert found == worst.quantities[name].exact.evaluate(tight)


def test_what_is_expected_lies_between_the_even_and_the_worst(even_and_worst: dict[tuple[str, str], Cost]) -> None:
    values, costs = sizes(4096, 2, 8), list(even_and_worst.values())
    for pass_ in ("forward", "backward"):
        found = uneven(even_and_worst[pass_, "balanced"], costs, values)
        assert found is not None
        assert {one.quantity for one in found.quantities} >= {"matmul_flops", "issued_bytes"}
        for one in found.quantities:
            assert one.even < one.expected < one.worst
        assert uneven(even_and_worst[pass_, "worst"], costs, values) is None
    assert [one.rows for one in found.tiles] == [128, 64]


def test_an_expected_cost_is_the_mean_of_those_of_all_histograms() -> None:
    values = sizes(4, 2, 4)
    histograms = Counter(
        tuple(sum(expert in chosen for chosen in routing) for expert in range(4))
        for routing in product(combinations(range(4), 2), repeat=4)
    )
    mean = sum(
        Fraction(times, 6**4) * of_histogram(EVEN, rows, values).evaluate(values) for rows, times in histograms.items()
    )
    assert expected_value(EVEN, values) == pytest.approx(float(mean), rel=1e-12)


@pytest.mark.parametrize("rows", [(1, 2), (4, 4, 0, 1), (5, 3, 0, 0), (4, 5, -1, 0)])
def test_what_is_no_histogram(rows: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="4 numbers of 0 to 4 that add up to 8"):
        of_histogram(EVEN, rows, sizes(4, 2, 4))
