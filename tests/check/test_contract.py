"""What a line of a contract promises, and where the caret stands under one that cannot be read."""

import pytest

from tfcost.check.contract import parse_contract
from tfcost.errors import UserError


def test_a_class() -> None:
    contract = parse_contract("time: n**2*d + n*d**2")
    assert (contract.quantity, contract.is_bound, contract.formula.symbols) == ("time", False, {"n", "d"})


@pytest.mark.parametrize(
    ("bound", "value"),
    [
        ("2 GiB", 2 * 2**30),
        ("2GiB", 2 * 2**30),
        ("1.5 MB", 1_500_000),
        ("1_000 B", 1000),
        ("7", 7),
        ("2**10", 1024),
    ],
)
def test_amounts_of_bytes(bound: str, value: int) -> None:
    assert parse_contract(f"peak_bytes <= {bound} at n=16k").formula.evaluate({}) == value


def test_a_pass() -> None:
    contract = parse_contract(" backward  peak_bytes <= 4*n")
    assert (contract.pass_, contract.quantity) == ("backward", "peak_bytes")
    assert parse_contract("time: n").pass_ == ""


def test_sizes_and_conditions() -> None:
    contract = parse_contract("matmul_flops <= 4*b*n**2*d at n=16k, b = 2 where 128 divides n, c divides n")
    assert contract.at == {"n": 16 * 1024, "b": 2}
    assert contract.where == (("128", "n"), ("c", "n"))
    assert contract.formula.evaluate({"b": 1, "n": 3, "d": 5}) == 180


@pytest.mark.parametrize(
    ("text", "mark", "message"),
    [
        ("time: n^2*d", "^2", r"unexpected character '\^' \(a power is written \*\*\)"),
        ("time: n**2*d)", ")", "this bracket closes nothing"),
        ("time: ", "", "the formula is missing"),
        ("time: n +", "", "the formula stops here"),
        ("tme: n", "tme", "no quantity is called 'tme'; did you mean 'time'"),
        ("  peak_byte <= 3", "peak", "no quantity is called 'peak_byte'; did you mean 'peak_bytes'"),
        ("backwards time: n", "backwards", "no quantity is called 'backwards time'"),
        ("forward tme: n", "tme", "no quantity is called 'tme'; did you mean 'time'"),
        ("time <= 3", "time", "'time' has a class only"),
        ("peak_bytes = n", "=", "expected ':' and a class, or '<=' and a bound"),
        ("peak_bytes >= n", ">=", "expected ':' and a class, or '<=' and a bound"),
        ("peak_bytes", "", "expected ':' and a class, or '<=' and a bound"),
        ("peak_bytes <= 2 gib", "gib", "unknown unit 'gib'; did you mean 'GiB'"),
        ("peak_bytes <= 2 GFLOP", "GFLOP", "peak_bytes is counted in B, not FLOP"),
        ("matmul_flops <= 2 GiB", "GiB", "matmul_flops is counted in FLOP, not B"),
        ("peak_bytes <= 4*n at n", "n", "expected NAME=VALUE"),
        ("peak_bytes <= 4*n at n=x", "n=x", "n: 'x' is not a whole number"),
        ("peak_bytes <= 4*n at n=3, n=4", "n=4", "'n' is given twice"),
        ("peak_bytes <= 4*n where n > 3", "n > 3", "expected a condition such as '128 divides n'"),
        ("peak_bytes <= 4*n + at n=3", " at n=3", "the formula stops here"),
        ("peak_bytes <= __import__(os)", "__import__", "unknown function"),
    ],
)
def test_a_caret_stands_under_the_mistake(text: str, mark: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_contract(text)
    told, excerpt, caret = str(caught.value).split("\n")
    assert told.startswith("contract, column ")
    place = caret.index("^") - 2
    assert excerpt[2:].rstrip() == text.rstrip()
    assert place == (text.rindex(mark) if mark else len(text.rstrip()))


def test_a_symbol_that_the_target_does_not_have() -> None:
    contract = parse_contract("peak_bytes <= 4*n*dh at n=3")
    contract.check_symbols({"n", "dh"})
    with pytest.raises(UserError, match="unknown symbol 'dh'; did you mean 'd_h'") as caught:
        contract.check_symbols({"n", "d_h"})
    assert str(caught.value).endswith("\n  " + " " * "peak_bytes <= 4*n*dh at n=3".index("dh") + "^")
    with pytest.raises(UserError, match="unknown symbol 'n'"):
        contract.check_symbols({"dh"})
