"""Two formulas are the same if they are at all sizes: by algebra, by proof; a single size tells them apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcost.check.equal import same
from tfcost.formula import Formula


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("4*b*n**2*d", "b*(2*n)**2*d"),
        ("(n + 1)**2", "n**2 + 2*n + 1"),
        ("n*m/m", "n"),
        ("Max(n, n + 1)", "n + 1"),
        ("Min(n, m) + Max(n, m)", "n + m"),
        ("ceiling(n/128)", "floor((n + 127)/128)"),
        ("floor(floor(n/8)/16)", "floor(n/128)"),
        ("Max(n, m)", "Max(m, n)"),
    ],
)
def test_the_same(one: str, two: str) -> None:
    assert same(Formula(one), Formula(two))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("4*b*n**2*d", "4*b*n**2*d + 1"),
        ("ceiling(n/128)", "ceiling(n/64)/2"),
        ("ceiling(n/128)", "floor((n + 126)/128)"),
        ("Max(n, m)", "n"),
        ("Max(n**2, 1000*n)", "n**2"),
        ("Min(n, w + 1)", "Min(n, w)"),
        ("b*ceiling(n/64)*ceiling(n/128)", "b*ceiling(n/128)*ceiling(n/128)*2"),
    ],
)
def test_not_the_same(one: str, two: str) -> None:
    assert not same(Formula(one), Formula(two))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4), st.lists(st.integers(-3, 3), min_size=4, max_size=4))
def test_polynomials_are_the_same_if_their_coefficients_are(one: list[int], two: list[int]) -> None:
    texts = ["+".join(f"({c})*{m}" for c, m in zip(c, ("n**2", "n*d", "d", "1"), strict=True)) for c in (one, two)]
    assert same(Formula(texts[0]), Formula(texts[1])) == (one == two)
