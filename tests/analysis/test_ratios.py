"""Claims about ratios against a walk through all lengths."""

from fractions import Fraction
from pathlib import Path

import pytest

from tfcost.analysis.claims import check_claims
from tfcost.analysis.query import Query
from tfcost.book import Book, Claim, Option, Provenance, TechniqueRecord, write_record
from tfcost.cost import Cost, Quantity
from tfcost.errors import UserError
from tfcost.formula import Formula

CHEAP = {"matmul_flops": "24*n*d**2 + 4*n**2*d", "scalar_flops": "n*d", "peak_bytes": "Max(n*d, 9*d**2) + 100*d"}
DEAR = {"matmul_flops": "30*n*d**2 + 6*n**2*d", "scalar_flops": "2*n*d", "peak_bytes": "4*128*ceiling(n/128) + d**2"}


def cost(policy: str, formulas: dict[str, str], pass_: str = "train") -> Cost:
    quantities = {name: Quantity(Formula(text), "summed") for name, text in formulas.items()}
    return Cost("again", "torch", "stack", pass_, ("bfloat16",), {"policy": policy}, {}, ("n", "d"), quantities, (), ())


def claim(quantity: str, least: str, most: str) -> Claim:
    bounds = (Formula(least), Formula(most))
    return Claim("3.2", quantity, Formula("1"), "20-30 %", ratio=bounds, against={"policy": "none"})


def book(folder: Path, *claims: Claim, pass_: str = "train") -> Book:
    options = {"policy": Option(("none", "layer"), "layer", "what is computed again")}
    costs = (cost("none", CHEAP, pass_), cost("layer", DEAR, pass_))
    write_record(
        TechniqueRecord("again", "Again", "3.2", "torch", "Made up.", options, {}, claims, Provenance(), costs), folder
    )
    return Book(folder)


def query(policy: str = "layer", n: int = 64, d: int = 32) -> Query:
    return Query("again", "stack", "train", "bfloat16", {"policy": policy}, {"n": n, "d": d})


def ratio(quantity: str, n: int, d: int = 32) -> Fraction:
    names = ("matmul_flops", "scalar_flops") if quantity == "time" else ("peak_bytes",)
    ours, theirs = (sum(Formula(each[name]).evaluate({"n": n, "d": d}) for name in names) for each in (DEAR, CHEAP))
    return Fraction(ours) / Fraction(theirs)


@pytest.mark.parametrize(
    ("quantity", "least", "most"), [("time", "6/5", "13/10"), ("space", "1/4", "1/2"), ("space", "1/10", "3/2")]
)
def test_the_ranges_are_those_of_a_walk(tmp_path: Path, quantity: str, least: str, most: str) -> None:
    bounds = Fraction(least), Fraction(most)
    (found,) = check_claims(query(), book(tmp_path, claim(quantity, least, most)))
    assert found.change is not None
    assert found.change.ratio == ratio(quantity, 64)
    assert found.agrees == (bounds[0] <= found.change.ratio <= bounds[1])
    for n in range(1, 3000):
        inside = any(first <= n <= last for first, last in found.change.holds)
        assert inside == (bounds[0] <= ratio(quantity, n) <= bounds[1]), n


def test_the_verdict_says_by_how_much_and_where(tmp_path: Path) -> None:
    """(30*d + 6*n + 2)/(24*d + 4*n + 1) at d = 32 is 1.3 where 0.8*n = 1.2*d - 0.7: up to n = 47."""
    record = book(tmp_path, claim("time", "6/5", "13/10"))
    (at_64,) = check_claims(query(), record)
    assert at_64.verdict == "does not hold: +31.3 %; it does for n <= 47"
    (at_32,) = check_claims(query(n=32), record)
    assert (at_32.agrees, at_32.verdict) == (True, "holds for n <= 47")


def test_nothing_is_compared_with_itself_or_without_a_training_step(tmp_path: Path) -> None:
    assert check_claims(query("none"), book(tmp_path, claim("time", "1", "2"))) == ()
    (tmp_path / "other").mkdir()
    assert check_claims(query(), book(tmp_path / "other", claim("time", "1", "2"), pass_="forward")) == ()


def test_claims_about_ratios_are_written_and_read(tmp_path: Path) -> None:
    first, second = claim("time", "6/5", "13/10"), Claim("3.2", "space", Formula("n*d"), "O(nd)")
    assert book(tmp_path, first, second).record("again").claims == (first, second)


def test_a_ratio_needs_both_bounds(tmp_path: Path) -> None:
    book(tmp_path, claim("time", "6/5", "13/10"))
    file = tmp_path / "again.json"
    file.write_text(file.read_text().replace('"6/5",', ""))
    with pytest.raises(UserError, match=r"claims\[0\]: a ratio is two numbers"):
        Book(tmp_path).record("again")
