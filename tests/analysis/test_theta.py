"""Classes: the quotient of formula and class stays between constants along many growing paths of the regime.

The oracle evaluates both exactly at sizes of hundreds of digits: a class wrong by the smallest power would show.
"""

import random
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tfcost.analysis.bounds import Undecided
from tfcost.analysis.regime import FFN_DEFAULT, MODEL_DEFINITIONS, Regime
from tfcost.analysis.theta import Theta, theta
from tfcost.formula import Formula

SIGNS = (">>", "<<", ">=", "<=", ">", "<")


def paths(
    symbols: frozenset[str], texts: tuple[str, ...], count: int = 25, least: int = 1
) -> list[list[dict[str, int]]]:
    """Growing sizes (squares, from `least` on) along random directions that satisfy every constraint, with room for
    `>>`."""
    generator = random.Random(1)
    found = []
    for _ in range(20_000):
        direction = {name: generator.choice([0, 0, 1, 1, 2, 3, 5]) for name in sorted(symbols)}
        start = {name: least * generator.choice([1, 1, 4, 9, 49]) for name in direction}
        path = [{name: start[name] << (direction[name] * t) for name in direction} for t in (20, 60, 180)]
        if all(_satisfied(text, sizes, t) for text in texts for sizes, t in zip(path, (20, 60, 180), strict=True)):
            found.append(path)
        if len(found) == count:
            return found
    raise AssertionError(f"too few paths for {texts}")


def _satisfied(text: str, sizes: dict[str, int], t: int) -> bool:
    sign = next((sign for sign in SIGNS if sign in text), "=")
    left, right = (Formula(side).evaluate(sizes) for side in text.split(sign))
    if sign[0] == "<":
        left, right = right, left
    if sign in (">>", "<<"):
        return left >= right << t if isinstance(right, int) else left >= right * 2**t
    return left > right if sign in (">", "<") else left == right if sign == "=" else left >= right


def assert_is_class(formula: Formula, found: Formula, texts: tuple[str, ...], constants: dict[str, int]) -> None:
    symbols = (formula.symbols | found.symbols | {name for text in texts for name in _names(text)}) - constants.keys()
    least = 2**10 if "-" in formula.text or "floor" in formula.text else 1  # such classes speak of large sizes
    for path in paths(frozenset(symbols), texts, least=least):
        quotients = [
            formula.evaluate(sizes | constants) / Fraction(found.evaluate(sizes | constants)) for sizes in path
        ]
        assert min(quotients) > 0
        assert max(quotients) < 10**6
        assert min(quotients) > Fraction(1, 10**6)


def _names(text: str) -> frozenset[str]:
    sign = next((sign for sign in SIGNS if sign in text), "=")
    return frozenset().union(*(Formula(side).symbols for side in text.split(sign)))


def theta_of(text: str, *texts: str, implied: tuple[str, ...] = ()) -> Theta:
    return theta(Formula(text), Regime.of(*texts, implied=implied))


CASES = [
    ("4*b*h*n**2*d_h + 5*b*h*n**2 + 8*b*n*h*d_h", (), "h*n**2*d_h"),
    ("24*b*n*d**2 + 4*b*n**2*d", (), "n**2*d + n*d**2"),
    ("24*b*n*d**2 + 4*b*n**2*d", ("n >> d",), "n**2*d"),
    ("24*b*n*d**2 + 4*b*n**2*d", ("d >= n",), "n*d**2"),
    ("ceiling(n/128)*ceiling(n/64)*128*64*4*d_h", (), "n**2*d_h"),
    ("ceiling(n/B_M)*B_M*(2*w + B_M)*d", ("w >= B_M", "n >= w"), "n*w*d"),
    ("ceiling(ceiling(n/c)/m)", (), "1 + n/(c*m)"),
    ("n*(n - 1)/2", (), "n**2"),
    ("n*(n + 1)/2 - n*d", ("n >> d",), "n**2"),
    ("d*(n*(w + 1) - w*(w + 1)/2)", ("w <= n",), "n*w*d"),
    ("128*(2*n*w - w**2 + 256*n - 128*w)", ("w <= n",), "n*w"),
    ("4*n*Min(n, w)*d", (), "n*d*Min(n, w)"),
    ("4*n*Min(n, w + 1)*d", (), "n*d*Min(n, w)"),
    ("4*n*Min(n, w + 1)*d", ("w <= n",), "n*w*d"),
    ("4*n*Min(n, w + 1)*d", ("w >= n",), "n**2*d"),
    ("Min(2*n, 3*w)*Min(n, w)", ("w <= n",), "w**2"),
    ("Max(n, m)*d", (), "n*d + m*d"),
    ("Max(n, m)*d", ("n >= m",), "n*d"),
    ("Max(0, n - w)*d", ("n >> w",), "n*d"),
    ("floor(n/c)*c*d", ("n >= c",), "n*d"),
    ("floor(n/128)*d", (), "n*d"),
    ("n**(3/2)*d**(1/2) + n**2 + n*d", (), "n**2 + n*d"),
    ("2*n*d + 4*n**2*d**2/M", ("M <= n*d", "M >= d"), "n**2*d**2/M"),
    ("2*n*d + 4*n**2*d**2/M", ("M >> n*d",), "n*d"),
    ("n*Mod(m, 8) + n**2", (), "n**2"),
    ("Min(n, w)*n - Min(n, w)", (), "n*Min(n, w)"),
    ("7", (), "1"),
    ("4*g*n - 2*g**2 - 4*g*w + 4*n*w - 2*w**2 - 256*g - 256*w + 512*n", ("g + w <= n",), "n*w + n*g"),
    ("4*n*(g + w) - 2*(g + w)**2", ("n >> g + w",), "n*w + n*g"),
    ("n*Min(n, g + 2*w)", ("2*n >= 2*g + 4*w",), "n*w + n*g"),
    ("4*k*n - 2*k**2*s", ("k*s <= n",), "k*n"),
    ("d*n - d*w - d*g", ("n >> g + w",), "n*d"),
]


@pytest.mark.parametrize(("text", "texts", "expected"), CASES, ids=[f"{case[0]} | {case[1]}" for case in CASES])
def test_class_is_reached_along_every_path(text: str, texts: tuple[str, ...], expected: str) -> None:
    found = theta_of(text, *texts)
    assert found.text == expected
    constants = {"b": 3} if "b" in Formula(text).symbols else {}
    assert_is_class(Formula(text), found.formula, texts, constants)


@pytest.mark.parametrize(
    ("text", "texts", "leading"),
    [
        ("24*n*d**2 + 4*n**2*d + 5*n**2", ("n >> d",), "4*d*n**2 + 5*n**2"),
        ("24*n*d**2 + 4*n**2*d + 5*n**2", ("d >> n", "n >> 1"), "24*d**2*n"),
        ("ceiling(n/128)*128*d", ("n >> 1",), "d*n"),
        ("n*(n + 1)/2*d", ("n >> 1",), "d*n**2/2"),
        ("4*n*Min(n, w + 1)*d", ("n >> w", "w >> 1"), "4*d*n*w"),
    ],
)
def test_leading_term_is_the_limit(text: str, texts: tuple[str, ...], leading: str) -> None:
    found = theta_of(text, *texts).leading
    assert found is not None
    assert found.text == leading
    for path in paths(Formula(text).symbols, texts, count=10):
        errors = [abs(Formula(text).evaluate(sizes) / Fraction(found.evaluate(sizes)) - 1) for sizes in path]
        assert errors[-1] < Fraction(1, 10**9)


def test_no_leading_term_where_rounding_blurs_it() -> None:
    assert theta_of("ceiling(d/128)*n", "n >> d").leading is None
    assert theta_of("n**2 + n").leading is None


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("n*w - w**2", ("w <= n",)),
        ("4*n*(g + w) - 2*(g + w)**2", ("g <= n", "w <= n")),
        ("ceiling(n/128)*128 - n", ()),
        ("Max(0, n - w)", ()),
        ("floor(n/c)", ()),
        ("n - d", ("n >= d",)),
        ("(n - d)**2", ()),
        ("n/(n + m)", ()),
        ("Mod(n, 128)", ()),
    ],
)
def test_what_has_no_class_is_said_to_have_none(text: str, texts: tuple[str, ...]) -> None:
    with pytest.raises(Undecided):
        theta_of(text, *texts)


def test_single_head_forms_of_the_source_document() -> None:
    implied = (*MODEL_DEFINITIONS, FFN_DEFAULT)
    attention = "8*b*n*d**2 + 4*b*h*n**2*d_h + 5*b*h*n**2"
    assert theta_of(attention, "h = 1", implied=implied).text == "n**2*d + n*d**2"
    assert theta_of(attention, implied=implied).text == "n**2*d + n*d**2"
    assert theta_of("4*b*h*n*d_h**2", "h = 1", implied=implied).text == "n*d**2"
    assert theta_of("4*b*h*n*d_h**2", implied=implied).text == "n*d*d_h"
    assert theta_of("4*b*n*d*f", implied=implied).text == "n*d**2"
    assert theta_of("2*b*h*n**2 + 8*b*n*h*d_h + 8*h**2*d_h**2", "h = 1", implied=implied).text == "n**2 + d**2"
    assert theta_of("2*b*n*h_kv*d_h + 2*b*n*h*d_h", implied=implied).text == "n*d"


def test_the_batch_counts_when_asked() -> None:
    assert theta(Formula("4*b*n**2 + n"), Regime.of(constants=())).text == "b*n**2"


def test_notations() -> None:
    found = theta_of("24*n*d**2 + 4*n**2*d")
    assert found.pretty() == "Θ(n²·d + n·d²)"
    assert found.latex() == r"\Theta\left(n^{2} d + n d^{2}\right)"


powers = st.sampled_from([0, 0, 1, 1, 2, 3])
terms = st.tuples(st.integers(1, 99), st.fixed_dictionaries(dict.fromkeys(("n", "d", "w"), powers)))
regimes = st.sampled_from([(), ("n >= d",), ("n >> d",), ("w <= n", "n >= d"), ("n*d >= w",), ("n >> w", "w >= d")])


@settings(max_examples=40, deadline=None)
@given(st.lists(terms, min_size=1, max_size=6), regimes, st.booleans())
def test_random_formulas(parts: list[tuple[int, dict[str, int]]], texts: tuple[str, ...], rounded: bool) -> None:
    text = " + ".join(_product(number, exponents, rounded) for number, exponents in parts)
    formula = Formula(text)
    found = theta(formula, Regime.of(*texts))
    assert_is_class(formula, found.formula, texts, {})
    smaller = [term for term in found.text.split(" + ") if " + " in found.text]
    for term in smaller:
        rest = " + ".join(other for other in found.text.split(" + ") if other != term)
        assert theta(Formula(rest), Regime.of(*texts)).text != found.text


@settings(max_examples=40, deadline=None)
@given(st.lists(terms, min_size=2, max_size=5), st.lists(st.integers(-9, 9), min_size=5, max_size=5), regimes)
def test_negative_terms_never_give_a_wrong_class(
    parts: list[tuple[int, dict[str, int]]], signs: list[int], texts: tuple[str, ...]
) -> None:
    numbered = zip(parts, signs, strict=False)
    formula = Formula(" + ".join(_product(sign, exponents, False) for (_, exponents), sign in numbered))
    try:
        found = theta(formula, Regime.of(*texts))
    except Undecided:
        return
    assume(found.text != "0")
    for path in paths(formula.symbols | {"n", "d", "w"}, texts, count=10, least=2**40):
        quotients = [formula.evaluate(sizes) / Fraction(found.formula.evaluate(sizes)) for sizes in path]
        assert Fraction(1, 10**9) < min(quotients) <= max(quotients) < 10**9


def _product(number: int, exponents: dict[str, int], rounded: bool) -> str:
    factors = [f"{name}**{exponent}" for name, exponent in exponents.items() if exponent]
    if rounded and exponents["n"]:
        factors.append("ceiling(n/8)")
    return "*".join([f"({number})", *factors])
