"""Readable forms equal the exact ones wherever their conditions hold, and only simplify what the conditions allow."""

import itertools

import pytest

from tfcost.analysis.readable import readable
from tfcost.analysis.regime import MODEL_DEFINITIONS, Regime
from tfcost.formula import Formula

CASES = [
    ("4*ceiling(n/128)*128*ceiling(n/64)*64*d", (), "4*d*n**2", "n a multiple of 128"),
    ("ceiling(n/48)*48 + ceiling(n/32)*32", (), "2*n", "n a multiple of 96"),
    ("ceiling(n/B_M)*B_M", (), "n", "n a multiple of B_M"),
    ("ceiling(n/B_M)*ceiling(n/B_N)", (), "n**2/(B_M*B_N)", "n a multiple of B_M*B_N"),
    ("ceiling((n + w - 1)/16)*16", (), "n + w", "n a multiple of 16, w a multiple of 16"),
    ("floor((n - 1)/16)", (), "n/16 - 1", "n a multiple of 16"),
    ("ceiling(ceiling(n/4)/2)", (), "n/8", "n a multiple of 8"),
    ("n + Mod(n, 16) + Mod(n + 3, 16)", (), "n + Mod(n + 3, 16)", "n a multiple of 16"),
    ("n*(n + 1)/2", (), "n**2/2 + n/2", ""),
    ("Min(n, w + 1)*n", ("w < n",), "n*w + n", "w < n"),
    ("Min(n, w + 1)*n", ("w <= n",), "n*Min(n, w + 1)", ""),
    ("Min(n, w + 1)*n", ("n >> w",), "n*w + n", "n >> w"),
    ("Max(n, m, d)", ("n >= m",), "Max(d, n)", "n >= m"),
    ("Max(0, n - w) + Min(n, 2*n)", ("w <= n",), "2*n - w", "w <= n"),
    ("ceiling(Min(n, w)/16)*16", ("w <= n",), "w", "w <= n, w a multiple of 16"),
    ("Min(ceiling(n/16)*16, n)", (), "n", ""),
    ("Max(ceiling(n/16)*16 - n, 0)", (), "0", "n a multiple of 16"),
]


@pytest.mark.parametrize(("text", "texts", "expected", "conditions"), CASES)
def test_form_and_conditions(text: str, texts: tuple[str, ...], expected: str, conditions: str) -> None:
    found = readable(Formula(text), Regime.of(*texts))
    assert (found.formula.text, found.regime) == (expected, conditions)


@pytest.mark.parametrize(("text", "texts", "expected", "conditions"), CASES)
def test_both_forms_are_equal_where_the_conditions_hold(
    text: str, texts: tuple[str, ...], expected: str, conditions: str
) -> None:
    exact, found = Formula(text), readable(Formula(text), Regime.of(*texts))
    compared = 0
    for values in _sizes(exact.symbols):
        if all(_holds(condition, values) for condition in conditions.split(", ") if condition):
            compared += 1
            assert found.formula.evaluate(values) == exact.evaluate(values), values
    assert compared >= 5


def _sizes(symbols: frozenset[str]) -> list[dict[str, int]]:
    lengths = (*range(1, 20), 32, 64, 96, 128, 192, 288, 384, 480)
    choices = {name: (1, 2, 4, 8) if name in ("B_M", "B_N") else lengths for name in symbols}
    return [dict(zip(choices, sizes, strict=True)) for sizes in itertools.product(*choices.values())]


def _holds(condition: str, values: dict[str, int]) -> bool:
    if " a multiple of " in condition:
        name, divisor = condition.split(" a multiple of ")
        return values[name] % int(Formula(divisor).evaluate(values)) == 0
    left, sign, right = condition.split(" ")
    return {"<": values[left] < values[right], "<=": values[left] <= values[right]}.get(
        sign, values[left] >= values[right] + (sign == ">>")
    )


def test_widths_are_collected_when_asked() -> None:
    regime = Regime.of(implied=MODEL_DEFINITIONS)
    exact = Formula("4*b*h*d_h*ceiling(n/64)*64*n + 8*b*n*d**2 + 5*b*h*n**2")
    found = readable(exact, regime, collect=True).formula
    assert found.text == "8*b*d**2*n + 4*b*d*n**2 + 5*b*h*n**2"
    values = {"b": 2, "h": 3, "d_h": 5, "d": 15, "n": 192}
    assert found.evaluate(values) == exact.evaluate(values)
    assert readable(exact, regime).formula.symbols == {"b", "d", "d_h", "h", "n"}
