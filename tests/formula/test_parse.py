"""Reading formulas: what the grammar accepts, and the place and words of each refusal."""

import pytest

from tfcost.errors import UserError
from tfcost.formula import Formula, FormulaError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3*4", 2 + 3 * 4),
        ("-n**2", -(7**2)),
        ("2*-n", -14),
        ("n - 1 - 2", 7 - 1 - 2),
        ("n/7/1", 1),
        ("48/n*7", 48),
        ("2**3**2", 2**3**2),
        ("n**-1*n", 1),
        ("(n + 2)**(1/2)", 3),
        ("Max(1, n, 3) - Min(n, 3)", 4),
        ("ceiling(n/2) + floor(n/2)", 7),
        ("ceiling(-n/2) + floor(-n/2)", -3 - 4),
        ("Mod(n, 4)", 3),
        ("+n", 7),
    ],
)
def test_reads_like_python(text: str, value: int) -> None:
    assert Formula(text).evaluate({"n": 7}) == value


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ('__import__("os")', 12, "unexpected character"),
        ("__import__(os)", 1, "unknown function '__import__'"),
        ("n + foor(n)", 5, "did you mean 'floor'?"),
        ("eval(n)", 1, "unknown function 'eval'"),
        ("(n + 1", 1, "never closed"),
        ("n + 1)", 6, "closes nothing"),
        ("n n", 3, "expected an operator"),
        ("n +", 4, "stops here"),
        ("", 1, "stops here"),
        ("n^2", 2, "a power is written **"),
        ("1.5*n", 2, "write a fraction"),
        ("n**m", 2, "must be a constant"),
        ("2**(1 - 2)/0", 11, "division by zero"),
        ("Mod(3, 0)", 1, "modulo by zero"),
        ("Max", 1, "needs its arguments in brackets"),
        ("ceiling(n, 2)", 1, "takes 1 argument, not 2"),
        ("Mod(n)", 1, "takes 2 arguments, not 1"),
        ("10**10**10", 3, "too large"),
        ("n**10**9", 2, "too large"),
        ("((n**90)**90)**90", 14, "too large"),
        ("lambda: 1", 7, "unexpected character ':'"),
        ("n.__class__", 2, "unexpected character '.'"),
        ("n[0]", 2, "unexpected character '['"),
        ("é + 1", 1, "unexpected character"),
        ("n;\x00", 2, "unexpected character ';'"),
    ],
)
def test_refuses_with_place_and_caret(text: str, column: int, words: str) -> None:
    with pytest.raises(FormulaError) as caught:
        Formula(text)
    first, excerpt, caret = str(caught.value).split("\n")
    assert f"column {column}:" in first
    assert words in first
    assert len(caret) == column + 2
    assert excerpt[2:] == "".join(c if c.isprintable() else " " for c in text)


def test_error_is_a_user_error() -> None:
    with pytest.raises(UserError):
        Formula("n +")


def test_caret_stays_under_its_place_in_a_long_formula() -> None:
    text = "n + " * 50 + "? + n" + " + n" * 50
    with pytest.raises(FormulaError) as caught:
        Formula(text)
    _, excerpt, caret = str(caught.value).split("\n")
    assert excerpt[caret.index("^")] == "?"
    assert len(excerpt) < 90


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("-", ""), ("ceiling(", ")"), ("2**", "")])
def test_absurd_nesting_is_an_error(opening: str, closing: str) -> None:
    for levels in (201, 300, 20_000):
        with pytest.raises(FormulaError):
            Formula(opening * levels + "1" + closing * levels)


def test_deep_nesting_within_the_limit_works() -> None:
    formula = Formula("ceiling(" * 190 + "n/2" + ")" * 190)
    assert formula.evaluate({"n": 5}) == 3
    assert formula.latex().count("lceil") == 190
    assert formula.pretty().count("⌈") == 190
    assert Formula("(n + 1)*2 - " + "(" * 190 + "n" + ")" * 190).evaluate({"n": 5}) == 7


def test_nested_sums_render_in_linear_time() -> None:
    text = "n"
    for _ in range(60):
        text = f"({text} + 1)*2"
    formula = Formula(text)
    again = Formula.of_tree(formula.tree)
    assert again.evaluate({"n": 1}) == formula.evaluate({"n": 1}) == 3 * 2**60 - 2


def test_too_many_digits() -> None:
    with pytest.raises(FormulaError, match="5000 digits"):
        Formula("9" * 5000)


@pytest.mark.parametrize("value", [3, None, ["n"], 1.5])
def test_only_text_is_a_formula(value: object) -> None:
    with pytest.raises(FormulaError, match="must be text"):
        Formula(value)  # type: ignore[arg-type]


def test_deferred_reads_on_first_use() -> None:
    wrong = Formula.deferred("n +")
    with pytest.raises(FormulaError, match="stops here"):
        wrong.evaluate({"n": 1})
    assert Formula.deferred(" n + 1 ") == Formula("n + 1")
