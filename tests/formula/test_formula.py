"""Identity, sympy round trip, substitution and notations of `Formula`; sympy is the oracle."""

import copy
import pickle
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcost.formula import Formula, FormulaError

NAMES = ("n", "d_h", "w", "B_M")
SYMBOLS = {name: sympy.Symbol(name, integer=True, positive=True) for name in NAMES}

leaves = st.sampled_from(list(SYMBOLS.values())) | st.integers(-9, 9).map(sympy.Integer)
leaves |= st.fractions(min_value=-3, max_value=3, max_denominator=5).map(
    lambda value: sympy.Rational(value.numerator, value.denominator)
)


def _grow(inner: st.SearchStrategy[sympy.Expr]) -> st.SearchStrategy[sympy.Expr]:
    pair = st.tuples(inner, inner)
    return (
        pair.map(lambda ab: ab[0] + ab[1])
        | pair.map(lambda ab: ab[0] * ab[1])
        | pair.map(lambda ab: sympy.Max(*ab))
        | pair.map(lambda ab: sympy.Min(*ab))
        | st.tuples(inner, st.integers(1, 3)).map(lambda be: be[0] ** be[1])
        | st.tuples(inner, st.sampled_from(list(SYMBOLS.values()))).map(lambda ab: ab[0] / ab[1])
        | inner.map(sympy.ceiling)
        | inner.map(sympy.floor)
        | st.tuples(inner, st.integers(2, 9)).map(lambda ab: sympy.Mod(*ab))
    )


expressions = st.recursive(leaves, _grow, max_leaves=7)
values_strategy = st.fixed_dictionaries({name: st.integers(1, 50) for name in NAMES})


def _rebuilt(expression: sympy.Expr) -> sympy.Expr:
    """The expression built once more from its leaves: sympy itself is not always at rest after one evaluation
    (ceiling(n + 1/n) becomes n + ceiling(1/n), and that, built again, n + 1)."""
    return expression.func(*map(_rebuilt, expression.args)) if expression.args else expression


@settings(max_examples=150, deadline=None)
@given(expressions, values_strategy)
def test_round_trip_and_value(expression: sympy.Expr, values: dict[str, int]) -> None:
    formula = Formula.of(expression)
    again = Formula(formula.text)
    assert again.sympy == _rebuilt(expression)
    wanted = expression.subs({SYMBOLS[name]: value for name, value in values.items()})
    assert sympy.Rational(*Fraction(again.evaluate(values)).as_integer_ratio()) == wanted


@settings(max_examples=60, deadline=None)
@given(expressions, expressions, values_strategy)
def test_substitution_agrees_with_evaluation(one: sympy.Expr, two: sympy.Expr, values: dict[str, int]) -> None:
    outer, inner = Formula.of(one), Formula.of(two)
    try:
        inside = inner.evaluate(values)
        wanted = outer.evaluate({**values, "n": inside})
    except FormulaError:
        return
    assert outer.substitute({"n": inner}).evaluate(values) == wanted


def test_canonical_order() -> None:
    n, d_h, b, h, m = sympy.symbols("n d_h b h M", integer=True, positive=True)
    assert Formula.of(n**2 * 4 * h * b * d_h).text == "4*b*d_h*h*n**2"
    assert Formula.of(1 + n * d_h + n**2 * d_h - 3 * d_h**2 * n).text == "-3*d_h**2*n + d_h*n**2 + d_h*n + 1"
    assert Formula.of(sympy.Rational(3, 2) * n**2 / (m * h)).text == "3*n**2/(2*M*h)"
    assert Formula.of(n ** sympy.Rational(3, 2)).text == "n**(3/2)"
    assert Formula.of(-n).text == "-n"
    assert Formula.of(Fraction(6, 2)).text == "3"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (sympy.log(SYMBOLS["n"]), "log"),
        (sympy.Symbol("n") ** sympy.Symbol("m"), "exponent"),
        (sympy.Float(0.5) * SYMBOLS["n"], "Float"),
        (sympy.oo, "Infinity"),
        (sympy.nan, "NaN"),
        (sympy.pi, "Pi"),
        (sympy.Symbol("a.b"), "'a.b'"),
        (sympy.Symbol("Max"), "'Max'"),
        (sympy.Piecewise((1, SYMBOLS["n"] > 2), (2, True)), "Piecewise"),
        (SYMBOLS["n"] ** 20_000, "too large"),
    ],
)
def test_of_names_what_it_cannot_hold(expression: sympy.Expr, words: str) -> None:
    with pytest.raises(FormulaError, match=words):
        Formula.of(expression)


def test_identity() -> None:
    one, two = Formula("n + 1"), Formula(" n + 1 ")
    assert one == two
    assert hash(one) == hash(two)
    assert one != Formula("1 + n")
    assert one.symbols == {"n"}
    with pytest.raises(AttributeError):
        one.text = "m"  # type: ignore[misc]
    one.evaluate({"n": 1})
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one


def test_substitute() -> None:
    formula = Formula("2*n*m + m")
    assert formula.substitute({"n": "m", "m": "n"}).evaluate({"n": 5, "m": 3}) == 2 * 3 * 5 + 5
    assert formula.substitute({"m": 3, "n": Formula("h*d_h")}).text == "6*d_h*h + 3"
    assert Formula("ceiling(n/B_M)*B_M").substitute({"n": 129, "B_M": 64}).text == "192"
    with pytest.raises(FormulaError, match="division by zero"):
        Formula("1/n").substitute({"n": 0})
    deep = Formula("ceiling(n/2 + 1)")
    for _ in range(6):
        deep = deep.substitute({"n": deep})
    with pytest.raises(FormulaError, match="200 levels"):
        deep.substitute({"n": deep})


def test_notations() -> None:
    formula = Formula("4*b*d_h*h*n**2 - ceiling(n/B_M)*Min(n, w)/(2*M) + d**(3/2)")
    assert Formula("4*b*d_h*h*n**2").pretty() == "4·b·h·n²·d_h"
    assert Formula("4*b*d_h*h*n**2").pretty(ascii_only=True) == "4*b*h*n**2*d_h"
    assert "⌈n/B_M⌉" in formula.pretty()
    assert "min(n, w)" in formula.pretty()
    assert "d^(3/2)" in formula.pretty()
    assert formula.pretty(ascii_only=True).isascii()
    latex = formula.latex()
    assert r"\left\lceil \frac{n}{B_M} \right\rceil" in latex
    assert r"\min\left(n, w\right)" in latex
    assert latex.count("{") == latex.count("}")
    assert "*" not in latex
    assert Formula("h_kv**2*x_y_z*2**(1/2)*2").latex() == r"2 h_{kv}^{2} x_{\mathrm{y\_z}} \cdot 2^{1/2}"


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("-(x + y)", r"-\left(x + y\right)"),
        ("(x + y)/z", r"\frac{x + y}{z}"),
        ("z/(x + y)", r"\frac{z}{x + y}"),
        ("(x + y)*z/2", r"\frac{z \left(x + y\right)}{2}"),
        ("floor(x + y)", r"\left\lfloor x + y \right\rfloor"),
        ("(x + y)**2", r"\left(x + y\right)^{2}"),
        ("x - (y - z)*2", r"x - 2 \left(y - z\right)"),
    ],
)
def test_latex_brackets(text: str, latex: str) -> None:
    assert Formula(text).latex() == latex


@settings(max_examples=100, deadline=None)
@given(expressions, values_strategy)
def test_readable_text_means_the_same(expression: sympy.Expr, values: dict[str, int]) -> None:
    formula = Formula.of(expression)
    assert Formula(formula.pretty(ascii_only=True)).evaluate(values) == formula.evaluate(values)
