"""Crossings: against a scan over every size, for rounding, Min, Max and random polynomials."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcost.analysis.bounds import Undecided
from tfcost.analysis.crossover import Comparison, compare, compare_functions
from tfcost.analysis.regime import MODEL_DEFINITIONS, Regime
from tfcost.analysis.signs import merged, polynomial_signs
from tfcost.errors import UserError
from tfcost.formula import Formula

VALUES = {"b": 2, "h": 3, "d_h": 16, "d": 48, "w": 40, "m": 100}
CASES = [
    ("4*b*h*n**2*d_h", "4*b*h*n*d_h**2"),
    ("4*b*h*n**2*d_h + 5*b*h*n**2", "8*b*h*n*d_h**2 + 7*b*h*n"),
    ("(ceiling(n/32)*32)**2*d_h", "n*d_h**2*20"),
    ("ceiling(n/32)*32", "n"),
    ("ceiling(n/32)*32", "ceiling(n/24)*24"),
    ("ceiling(n/32)*32", "ceiling(n/24)*24 + n/50"),
    ("ceiling(n/32)*ceiling(n/16)*512", "n**2 + 300"),
    ("floor(n/7)*n", "n**2/9 + 5"),
    ("4*n*Min(n, w + 1)", "2*n**2"),
    ("Min(n, w)*n", "n*w"),
    ("Min(n, m, 3*w)", "Max(n/2, w)"),
    ("Max(0, ceiling((n - w)/8))*8", "n/2"),
    ("Min(ceiling(n/8)*8, m)", "n"),
    ("n*(n + 1)", "n**2 + n"),
    ("n**3 - 100*n**2 + 2000*n + 50", "0"),
    ("(n - 30)**2", "0"),
    ("n + 900/n", "70"),
    ("Mod(n, 16)", "n/20"),
    ("7", "7"),
]


@pytest.mark.parametrize(("one", "two"), CASES)
def test_against_a_scan(one: str, two: str) -> None:
    first, second = Formula(one), Formula(two)
    _check(first, second, compare(first, second, "n", VALUES, high=5000), VALUES, 5000)


def _check(first: Formula, second: Formula, found: Comparison, values: dict[str, int], high: int) -> None:
    signs = {}
    for n in range(1, high + 1):
        one, two = (formula.evaluate(values | {"n": n}) for formula in (first, second))
        signs[n] = (one > two) - (one < two)
    assert found.equal == (set(signs.values()) == {0})
    if found.equal:
        return
    place, cheaper = 1, found.start
    for crossing in found.crossings:
        assert crossing.below == cheaper
        _all_cheaper(signs, place, crossing.first, cheaper)
        if crossing.first > 1:
            assert crossing.below is None or signs[crossing.first - 1] == _sign(crossing.below)
        if crossing.settled != crossing.first:
            end = crossing.settled or high + 1
            assert {1, -1} <= {signs[n] for n in range(crossing.first, end)}
            if crossing.settled is not None and crossing.below is not None:
                assert _sign(crossing.below) in {signs[n] for n in range(crossing.first, crossing.settled)}
        if crossing.settled is None:
            return
        assert any(signs[n] == _sign(crossing.above) for n in range(crossing.settled, high + 1))
        place, cheaper = crossing.settled, crossing.above
    _all_cheaper(signs, place, high + 1, cheaper)
    assert cheaper is None or any(signs[n] == _sign(cheaper) for n in range(place, high + 1))


def _sign(index: int | None) -> int:
    return {0: -1, 1: 1, None: 0}[index]


def _all_cheaper(signs: dict[int, int], start: int, end: int, index: int | None) -> None:
    if index is not None:
        assert all(signs[n] in (0, _sign(index)) for n in range(start, end))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-20, 20), min_size=1, max_size=4),
    st.integers(-3000, 3000),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["n", "Min(n, w)", "Max(n - w, 0)", "n**2/50"]),
)
def test_random_formulas(coefficients: list[int], constant: int, one: int, two: int, extra: str) -> None:
    first = Formula(" + ".join(f"({c})*n**{k + 1}" for k, c in enumerate(coefficients)) + f" + ceiling(n/{one})*{one}")
    second = Formula(f"{constant} + 3*floor({extra}/{two})*{two}")
    _check(first, second, compare(first, second, "n", {"w": 130}, high=700), {"w": 130}, 700)


def test_far_crossings_are_exact() -> None:
    found = compare(Formula("n**2"), Formula("n*10**9 + 1"), "n", {})
    (crossing,) = found.crossings
    assert (crossing.first, crossing.settled, crossing.above) == (10**9 + 1, 10**9 + 1, 1)
    padded = compare(Formula("(ceiling(n/128)*128)**2"), Formula("n*10**9"), "n", {})
    (crossing,) = padded.crossings
    exact = [n for n in range(10**9 - 999, 10**9 + 999) if (-(-n // 128) * 128) ** 2 < n * 10**9]
    assert crossing.settled == exact[-1] + 1


def test_closed_forms() -> None:
    regime = Regime.of(implied=MODEL_DEFINITIONS)
    quadratic, linear = Formula("4*b*h*(ceiling(n/16)*16)*n*d_h"), Formula("12*b*h*n*d_h**2")
    (crossing,) = compare(quadratic, linear, "n", VALUES, regime=regime).crossings
    assert crossing.closed is not None
    assert crossing.closed.text == "3*d_h"
    assert crossing.first == 33  # equal in the tile that ends at 48
    one, two = Formula("4*b*h*n**2*d_h + 5*b*h*n**2"), Formula("8*b*h*n*d_h**2 + 7*b*h*n")
    (crossing,) = compare(one, two, "n", VALUES, regime=regime).crossings
    assert crossing.closed is not None
    root = crossing.closed.evaluate(VALUES)
    assert one.evaluate(VALUES | {"n": root}) == two.evaluate(VALUES | {"n": root})
    assert crossing.first - 1 < root <= crossing.first
    assert compare(Formula("n**2"), Formula("n + 30"), "n", {}).crossings[0].closed is None


def test_words() -> None:
    crossing = compare(Formula("n**2"), Formula("64*n"), "n", {})
    assert crossing.sentence("flash", "linear") == "cheaper below n = 64: flash; from n = 64: linear"
    assert compare(Formula("n"), Formula("2*n"), "n", {}).sentence("A", "B") == "never dearer: A"
    assert compare(Formula("n"), Formula("n"), "n", {}).sentence("A", "B") == "A and B are equal everywhere"
    in_turns = compare(Formula("ceiling(n/32)*32"), Formula("ceiling(n/24)*24"), "n", {}).sentence("A", "B")
    assert in_turns == "cheaper below n = 25: B; from n = 25: in turns, by padding"


def test_errors() -> None:
    with pytest.raises(UserError, match="no value for d_h"):
        compare(Formula("n*d_h"), Formula("n"), "n", {})
    for text in ("n**(1/2)", "1/(n + 3)", "ceiling(n/100003)*n - ceiling(n/100019)*n"):
        with pytest.raises(Undecided):
            compare(Formula(text), Formula("2"), "n", {})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-2000, 2000), min_size=1, max_size=6), st.integers(-20, 20), st.integers(0, 60))
def test_signs_of_polynomials(coefficients: list[int], low: int, length: int) -> None:
    values = [(x, sum(c * x**k for k, c in enumerate(coefficients))) for x in range(low, low + length + 1)]
    assert polynomial_signs(coefficients, low, low + length) == merged([(x, (v > 0) - (v < 0)) for x, v in values])


def test_functions() -> None:
    found = compare_functions(lambda n: 1e-6 + 3e-12 * n * n, lambda n: 5e-6 + 1e-9 * n, "n")
    (crossing,) = found.crossings
    last = max(n for n in range(1, 10_000) if 1e-6 + 3e-12 * n * n < 5e-6 + 1e-9 * n)
    assert (found.start, crossing.first, crossing.above) == (0, last + 1, 1)
    assert compare_functions(float, lambda n: n + 1.0, "n").crossings == ()
    assert compare_functions(float, float, "n").equal
