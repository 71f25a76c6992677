"""The order of monomials on a regime: against sampled points of the regime, which know nothing of rays."""

import random
from fractions import Fraction
from functools import cache

import pytest

from tfcost.analysis.cone import dot, extreme_rays
from tfcost.analysis.polynomial import Monomial, expand, monomial_tree
from tfcost.analysis.regime import FFN_DEFAULT, MODEL_DEFINITIONS, Regime
from tfcost.errors import UserError
from tfcost.formula import Formula

NAMES = ("n", "d", "w", "h")
REGIMES = [
    (),
    ("n >= d",),
    ("w <= n", "n >= d"),
    ("n >> d",),
    ("n*d >= w", "w >= d**2"),
    ("n >> d", "d >= h", "w <= n"),
]


def monomial(text: str) -> Monomial:
    ((found, _),) = expand(Formula(text).tree).items()
    return found


def log_value(part: Monomial, point: dict[str, int]) -> int:
    """Twice the logarithm, so that square roots stay whole."""
    return sum(int(2 * power) * point[str(name)] for name, power in part)


def sampled(texts: tuple[str, ...], count: int, seed: int, margin: int = 0) -> list[dict[str, int]]:
    """Points (logarithms) that satisfy the constraints, by rejection; `margin` is what >> demands."""
    generator = random.Random(seed)
    points: list[dict[str, int]] = []
    while len(points) < count:
        point = {name: generator.choice([0, 0, 1, 2, 3, 5, 8, 13]) for name in NAMES}
        if all(_holds(text, point, margin) for text in texts):
            points.append(point)
    return points


@cache
def _sides(text: str, sign: str) -> tuple[Monomial, ...]:
    return tuple(monomial(side) for side in text.split(sign))


def _holds(text: str, point: dict[str, int], margin: int) -> bool:
    sign = next(sign for sign in (">>", "<<", ">=", "<=") if sign in text)
    left, right = (log_value(side, point) for side in _sides(text, sign))
    gap = left - right if sign[0] == ">" else right - left
    return gap >= (margin if sign in (">>", "<<") else 0)


@pytest.mark.parametrize("texts", REGIMES)
def test_at_most_agrees_with_sampled_points(texts: tuple[str, ...]) -> None:
    generator = random.Random(7)
    order = Regime.of(*texts, constants=()).order(NAMES)
    points = sampled(texts, 150, seed=3)
    for _ in range(80):
        one, two = (_random_monomial(generator) for _ in range(2))
        worst = max(log_value(one, point) - log_value(two, point) for point in points)
        if order.at_most(one, two):
            assert worst <= 0
        else:
            assert any(_inside(ray, texts, order.names) and _gap(one, two, ray, order.names) > 0 for ray in order.rays)


@pytest.mark.parametrize("texts", REGIMES)
def test_covered_agrees_with_sampled_points(texts: tuple[str, ...]) -> None:
    generator = random.Random(11)
    order = Regime.of(*texts, constants=()).order(NAMES)
    points = sampled(texts, 200, seed=5)
    decided = set()
    for _ in range(60):
        one, *others = (_random_monomial(generator) for _ in range(4))
        free = [point for point in points if all(log_value(one, point) > log_value(other, point) for other in others)]
        decided.add(order.covered(one, others))
        if order.covered(one, others):
            assert not free
    assert decided == {True, False}


def test_pairwise_comparison_is_not_enough() -> None:
    order = Regime.of().order({"n", "d"})
    product, squares = monomial("n*d"), [monomial("n**2"), monomial("d**2")]
    assert not any(order.at_most(product, square) for square in squares)
    assert order.covered(product, squares)
    assert not order.covered(monomial("n**2*d"), squares)


@pytest.mark.parametrize("texts", [texts for texts in REGIMES if any(">>" in text for text in texts)])
def test_vanishing_agrees_with_growing_gaps(texts: tuple[str, ...]) -> None:
    """Where `vanishes` says yes, the quotient falls at least in proportion to the gap that every >> is given."""
    generator = random.Random(13)
    order = Regime.of(*texts, constants=()).order(NAMES)
    points = [sampled(texts, 60, seed=9, margin=margin) for margin in (2, 8)]
    found = 0
    for _ in range(120):
        one, two = (_random_monomial(generator) for _ in range(2))
        if one != two and order.vanishes(one, two):
            found += 1
            near, far = (max(log_value(one, p) - log_value(two, p) for p in group) for group in points)
            assert near < 0
            assert far < near
    assert found


@pytest.mark.parametrize(
    ("one", "two", "vanishes"),
    [("d**2*n", "n**2*d", True), ("n", "n*d", False), ("1", "n", True), ("h*n**2", "n**2*d", False), ("d", "n", True)],
)
def test_what_vanishes_when_n_outgrows_d(one: str, two: str, vanishes: bool) -> None:
    assert Regime.of("n >> d").order({"n", "d", "h"}).vanishes(monomial(one), monomial(two)) is vanishes


def test_rays_of_a_known_cone() -> None:
    assert sorted(extreme_rays(2, [(1, -1)])) == [(1, 0), (1, 1)]
    assert sorted(extreme_rays(3, [(1, -1, 0), (0, 1, -1)])) == [(1, 0, 0), (1, 1, 0), (1, 1, 1)]
    square = extreme_rays(3, [(-1, 0, 1), (0, -1, 1)])  # the cone over a square
    assert sorted(square) == [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)]
    assert all(dot(row, ray) >= 0 for row in [(-1, 0, 1), (0, -1, 1)] for ray in square)


def test_definitions_are_written_in_and_folded_back() -> None:
    regime = Regime.of(implied=(*MODEL_DEFINITIONS, FFN_DEFAULT))
    assert Formula.of_tree(regime.applied(Formula("n*d*f").tree)).evaluate({"n": 3, "h": 2, "d_h": 5}) == 3 * 10 * 40
    assert _folded(regime, "n*h*d_h**2") == "d*d_h*n"
    assert _folded(regime, "n*h**2*d_h") == "d*h*n"
    assert _folded(regime, "n/(h*d_h)") == "n/d"
    assert _folded(Regime.of("h = 1", implied=MODEL_DEFINITIONS), "n*d_h**2") == "d**2*n"


@pytest.mark.parametrize(
    "text",
    [
        "n",
        "n > d > w",
        "n + d >= w",
        "n > d + w",
        "n >= d - w",
        "n >= d + Max(w, h)",
        "n >= 0",
        "2*d = n",
        "d = d*h",
        "n = Max(d, h)",
        "n >= -d",
        "n == d",
        "n >> ",
        "",
    ],
)
def test_what_is_not_a_constraint(text: str) -> None:
    with pytest.raises(UserError):
        Regime.of(text)


def test_a_sum_is_at_least_each_of_its_terms() -> None:
    order = Regime.of("h*d_h >= 2*w + 3*g", implied=("d = h*d_h",)).order({"n", "h", "d_h", "g", "w"})
    assert order.at_most(monomial("w"), monomial("h*d_h"))
    assert order.at_most(monomial("g"), monomial("h*d_h"))
    assert not order.at_most(monomial("w"), monomial("h"))
    assert not order.vanishes(monomial("w"), monomial("h*d_h"))
    strict = Regime.of("g + w << n").order({"n", "g", "w"})
    assert strict.vanishes(monomial("w"), monomial("n"))


def test_contradictions_and_circles() -> None:
    with pytest.raises(UserError, match="contradicts itself"):
        Regime.of("n >> d", "d >= n").order({"n"})
    with pytest.raises(UserError, match="circle"):
        Regime.of("d = h*n", "n = d*h").applied(Formula("n").tree)


def _folded(regime: Regime, text: str) -> str:
    return Formula.of_tree(monomial_tree(regime.collected(monomial(text)))).text


def _random_monomial(generator: random.Random) -> Monomial:
    powers = {name: generator.choice([0, 0, 1, 1, 2, Fraction(1, 2)]) for name in NAMES}
    return frozenset((name, power) for name, power in powers.items() if power)


def _inside(ray: tuple[int, ...], texts: tuple[str, ...], names: list[str]) -> bool:
    point = dict.fromkeys(NAMES, 0) | dict(zip(names, ray, strict=True))
    return min(ray) >= 0 and all(_holds(text, point, 0) for text in texts)


def _gap(one: Monomial, two: Monomial, ray: tuple[int, ...], names: list[str]) -> int:
    point = dict.fromkeys(NAMES, 0) | dict(zip(names, ray, strict=True))
    return log_value(one, point) - log_value(two, point)
