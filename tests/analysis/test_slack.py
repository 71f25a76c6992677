"""Signs of polynomials: what is shown holds at every size tried; sums that grow are shown without slack variables."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tfcost.analysis.polynomial import Polynomial, expand
from tfcost.analysis.regime import Regime
from tfcost.analysis.slack import nonnegative, plainly_bounded_below
from tfcost.formula import Formula

ANYWHERE = Regime.of()
MONOMIALS = st.dictionaries(st.sampled_from("xyz"), st.integers(1, 2), max_size=3).map(
    lambda powers: frozenset(powers.items())
)
POLYNOMIALS = st.dictionaries(MONOMIALS, st.integers(-4, 4).filter(bool), min_size=1, max_size=5)


def value(polynomial: Polynomial, sizes: dict[str, int]) -> int:
    total = 0
    for monomial, coefficient in polynomial.items():
        for atom, power in monomial:
            coefficient *= sizes[str(atom)] ** power
        total += coefficient
    return total


def everywhere(least: int) -> list[dict[str, int]]:
    return [dict(zip("xyz", sizes, strict=True)) for sizes in product((least, least + 1, least + 7), repeat=3)]


@settings(max_examples=300)
@given(POLYNOMIALS)
def test_what_is_shown_is_nowhere_negative(polynomial: Polynomial) -> None:
    if nonnegative(polynomial, ANYWHERE):
        assert all(value(polynomial, sizes) >= 0 for sizes in everywhere(1))


@settings(max_examples=300)
@given(POLYNOMIALS, MONOMIALS, st.integers(1, 9))
def test_what_is_bounded_below_is_positive_where_its_target_is(
    polynomial: Polynomial, target: frozenset[tuple[str, int]], base: int
) -> None:
    if plainly_bounded_below(polynomial, {target: 1}, ANYWHERE, base):
        assert all(value(polynomial, sizes) > 0 for sizes in everywhere(base))


def test_layers_that_differ_take_nothing_from_the_class() -> None:
    """(L - 3)*x*y + 3*x*z has the class L*x*y + x*z for many layers."""
    lower = expand(Formula("(L - 3)*x*y + 3*x*z").tree)
    for target in ("L*x*y", "x*z"):
        assert plainly_bounded_below(lower, expand(Formula(target).tree), ANYWHERE, 4)
    assert not plainly_bounded_below(lower, expand(Formula("L*x*y").tree), ANYWHERE, 3)
