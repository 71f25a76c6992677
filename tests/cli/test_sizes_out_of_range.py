"""Sizes that make no sense, on the book that comes with tfcost: refused, or marked as outside of what is exact."""

import json
from typing import Any

import pytest

Run = Any


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sliding-window", "flash", "--w", "-1"], "--w: '-1' is not a whole number of at least 0"),
        (["longformer", "flash", "--g", "-1"], "--g: '-1' is not a whole number of at least 0"),
        (["moe", "ffn", "--k", "0"], "--k: 0 is less than 1"),
        (["moe", "ffn", "--E", "0"], "--E: 0 is less than 1"),
        (["moe", "ffn", "--k", "9", "--E", "8"], "moe: its formulas do not apply: k <= E does not hold at E = 8"),
        (["local", "flash", "--n", "0"], "--n: 0 is less than 1"),
        (["strided", "flash", "--s", "1000", "--n", "100"], "strided: its formulas do not apply: s <= n does not hold"),
        (["top-k", "flash", "--n", "512"], "top-k: its formulas do not apply: k <= m does not hold at k = 1024, m = 5"),
        (["top-k", "flash", "--causal", "--k", "128", "--n", "64"], "top-k: its formulas do not apply: k <= n does"),
        (["cluster", "flash", "--c", "1024", "--n", "512"], "cluster: its formulas do not apply: c <= n does not hold"),
        (
            ["local", "flash", "--m", "100"],
            "local: its formulas do not apply: m = n does not hold at m = 100, n = 4096",
        ),
        (
            ["linear", "flash", "--causal", "--c", "128", "--option", "fused=true"],
            "--c is not used by linear and flash",
        ),
        (
            ["sliding-window", "flash", "--option", "overlapping=false", "--c", "2k", "--n", "1k"],
            "sliding-window: its formulas do not apply: c <= n does not hold",
        ),
        (
            ["kv-cache", "linear", "--pass", "decode", "--option", "cache=window", "--m", "99"],
            "kv-cache: its formulas ",
        ),
    ],
)
def test_refused(real: Run, arguments: list[str], expected: str) -> None:
    result = real("compare", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1


def test_between_multiples_numbers_are_marked(real: Run) -> None:
    """On stderr, and where programs read the result."""
    result = real("explain", "top-k", "--k", "100", "--format", "json")
    (reason,) = json.loads(result.stdout)["results"][0]["inexact"]
    assert reason == "k = 100 is not a multiple of 64: its formulas are exact at multiples only"
    assert result.stderr == f"warning: top-k: {reason}\n"


def test_what_is_exact_is_not_marked(real: Run) -> None:
    """Causal linear attention has formulas of their own for an n that c does not divide."""
    result = real("explain", "linear", "--causal", "--c", "100", "--n", "4099", "--format", "json")
    assert all("inexact" not in one for one in json.loads(result.stdout)["results"])
    assert result.stderr == ""


def test_crossovers_are_looked_for_where_the_formulas_apply(real: Run) -> None:
    """Of fewer than k keys none can be chosen."""
    arguments = ("compare", "top-k", "flash", "--k", "512", "--n", "16k", "--scope", "core")
    found = json.loads(real(*arguments, "--format", "json").stdout)["crossovers"]
    assert found
    assert all(one["from"] == 512 <= one["at"] for one in found)
    assert "for n >= 512: cheaper below" in real(*arguments).stdout
