"""Exact values: against Python's own arithmetic, with big integers, and the errors."""

import math
import subprocess
import sys
import time
from fractions import Fraction

import pytest

from tfcost.errors import UserError
from tfcost.formula import Formula, FormulaError


def test_big_integers_are_exact() -> None:
    n = 10**30 + 7
    value = Formula("4*n**2*d + ceiling(n/128)*128").evaluate({"n": n, "d": 768})
    assert value == 4 * n * n * 768 + (n + 127) // 128 * 128
    assert isinstance(value, int)


def test_whole_results_are_ints_and_others_fractions() -> None:
    half = Formula("n*(n + 1)/2")
    assert half.evaluate({"n": 10**20}) == 10**20 * (10**20 + 1) // 2
    assert isinstance(half.evaluate({"n": 3}), int)
    assert Formula("n/3 + 1/6").evaluate({"n": 2}) == Fraction(5, 6)
    assert Formula("(n/3)*(3/n)").evaluate({"n": 7}) == 1
    assert isinstance(Formula("(n/2)**-1*n").evaluate({"n": 7}), int)


@pytest.mark.parametrize("tile", [1, 3, 64])
def test_rounding_agrees_with_integer_division(tile: int) -> None:
    up, down = Formula("ceiling((n - w)/B)"), Formula("floor((n - w)/B)")
    for n in range(40):
        values = {"n": n, "w": 17, "B": tile}
        assert up.evaluate(values) == math.ceil(Fraction(n - 17, tile))
        assert down.evaluate(values) == (n - 17) // tile


def test_fraction_values() -> None:
    assert Formula("ceiling(n/d)").evaluate({"n": Fraction(7, 2), "d": Fraction(1, 2)}) == 7
    assert Formula("Mod(n, 2)").evaluate({"n": Fraction(7, 2)}) == Fraction(3, 2)
    assert Formula("n**(1/2)").evaluate({"n": Fraction(9, 4)}) == Fraction(3, 2)


@pytest.mark.parametrize("n", [0, 1, 8, 27, 10**30])
def test_roots(n: int) -> None:
    assert Formula("n**(2/3)").evaluate({"n": n**3}) == n**2


def test_irrational_root_is_an_error() -> None:
    for value in (2, -4, 10**40 + 1):
        with pytest.raises(FormulaError, match="not a rational number"):
            Formula("n**(1/2)").evaluate({"n": value})


def test_missing_symbols_are_named() -> None:
    with pytest.raises(UserError, match="no value for d_h, w in"):
        Formula("n*d_h*w").evaluate({"n": 1})


def test_superfluous_values_are_ignored() -> None:
    assert Formula("n").evaluate({"n": 3, "x": 1}) == 3


@pytest.mark.parametrize("value", [1.5, "3", None])
def test_inexact_values_are_refused(value: object) -> None:
    with pytest.raises(UserError, match="not a whole number"):
        Formula("n + 1").evaluate({"n": value})  # type: ignore[dict-item]


@pytest.mark.parametrize("text", ["1/(n - 5)", "Mod(3, n - 5)", "floor(2/(n - 5))", "(n - 5)**-2"])
def test_division_by_zero(text: str) -> None:
    with pytest.raises(FormulaError, match=r"division by zero .* at n = 5"):
        Formula(text).evaluate({"n": 5})


def test_absurd_power_does_not_hang() -> None:
    with pytest.raises(FormulaError, match="too large"):
        Formula("n**5000").evaluate({"n": 10**30})


def test_fast_enough_for_sweeps() -> None:
    formula = Formula(" + ".join(f"{i}*b*h*n**2*d_h*ceiling(n/{i + 100})" for i in range(1, 11)))
    values = {"b": 1, "h": 12, "n": 10_000, "d_h": 64}
    best = min(_seconds(formula, values) for _ in range(3))
    assert best < 0.5  # about 0.15 s when the machine is idle


def _seconds(formula: Formula, values: dict[str, int]) -> float:
    start = time.perf_counter()
    for _ in range(5000):
        formula.evaluate(values)
    return time.perf_counter() - start


def test_no_sympy_needed() -> None:
    code = (
        "import sys; from tfcost.formula import Formula; f = Formula('4*n**2*ceiling(n/3)');"
        "f.evaluate({'n': 5}); f.latex(); f.pretty(); f.substitute({'n': 'm'}); sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
