"""Shares and flips: against a scan over every size."""

from collections.abc import Callable
from fractions import Fraction

import pytest
import sympy

from tfcost.analysis.bounds import Undecided
from tfcost.analysis.dominance import flips, shares
from tfcost.analysis.regime import MODEL_DEFINITIONS, Regime
from tfcost.formula import Formula

CASES = [
    ("24*n*d**2 + 4*n**2*d", "n", {"d": 12}),
    ("24*n*d**2 + 4*n**2*d", "d", {"n": 700}),
    ("n**3 + 90*n**2 + 4000*n + 5*m", "n", {"m": 10_000}),
    ("7*n**(3/2) + n**2 + 500", "n", {}),
    ("500/n + n - 3*d", "n", {"d": 20}),
    ("n + 5000", "m", {"n": 3}),
    ("n**2", "n", {}),
]


@pytest.mark.parametrize(("text", "symbol", "values"), CASES)
def test_flips_are_where_a_scan_sees_them(text: str, symbol: str, values: dict[str, int]) -> None:
    terms = {share.term: _in_floats(share.term) for share in shares(Formula(text), values | {symbol: 16})}
    found = flips(Formula(text), symbol, values, longest=2000)
    places = [flip.at for flip in found]
    assert places == sorted(places)
    ruling = found[0].before if found else None
    steps = {flip.at: flip for flip in found}
    for size in range(1, 2001):
        if size in steps:
            assert ruling == steps[size].before
            ruling = steps[size].after
        amounts = {term: amount(values | {symbol: size}) for term, amount in terms.items()}
        if ruling is not None:
            assert amounts[ruling] >= max(amounts.values()) * (1 - 1e-12)
            if size + 1 in steps:
                assert amounts[ruling] > amounts[steps[size + 1].after]
    if not found:
        assert len({max(terms, key=lambda term: terms[term](values | {symbol: size})) for size in range(1, 2001)}) == 1


def _in_floats(term: Formula) -> Callable[[dict[str, int]], float]:
    """The absolute value in floating point, which also knows square roots."""
    names = sorted(term.symbols)
    function = sympy.lambdify([sympy.Symbol(name, integer=True, positive=True) for name in names], term.sympy, "math")
    return lambda values: abs(function(*(values[name] for name in names)))


def test_the_transformer_turns_at_six_d() -> None:
    regime = Regime.of(implied=MODEL_DEFINITIONS)
    block = Formula("L*(8*b*n*d**2 + 4*b*h*n**2*d_h + 16*b*n*d**2)")
    sizes = {"b": 1, "d": 768, "L": 12, "h": 12, "d_h": 64}
    (flip,) = flips(block, "n", sizes, regime)
    assert (flip.at, flip.closed.text, flip.before.text) == (6 * 768, "6*d", "24*L*b*d**2*n")
    (back,) = flips(block, "d", {**sizes, "n": 1024}, regime)
    assert (back.at, back.closed.text) == (171, "n/6")


@pytest.mark.parametrize(("text", "symbol", "values"), CASES[:5])
def test_the_closed_form_is_the_place(text: str, symbol: str, values: dict[str, int]) -> None:
    for flip in flips(Formula(text), symbol, values):
        place = float(flip.closed.sympy.subs({name: values[name.name] for name in flip.closed.sympy.free_symbols}))
        assert flip.at - 1 < place <= flip.at


def test_shares() -> None:
    found = shares(Formula("3*n**2 - n + 6"), {"n": 2})
    assert [(share.term.text, share.value) for share in found] == [("3*n**2", 12), ("6", 6), ("-n", -2)]
    assert [share.share for share in found] == [Fraction(12, 20), Fraction(6, 20), Fraction(2, 20)]
    assert sum(share.value for share in found) == Formula("3*n**2 - n + 6").evaluate({"n": 2})
    rounded = shares(Formula("(ceiling(n/8)*8 + 1)*n"), {"n": 10})
    assert sum(share.value for share in rounded) == 17 * 10


def test_rounding_has_no_powers() -> None:
    with pytest.raises(Undecided, match="inside rounding"):
        flips(Formula("ceiling(n/8)*n + n"), "n", {})


def test_nothing_rules_in_zero() -> None:
    assert flips(Formula("0"), "n", {}) == () == shares(Formula("0"), {})
