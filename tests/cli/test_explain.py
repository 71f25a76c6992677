"""`tfcost explain`: the way from the line of code to the formula, and the source document's claims."""

import json
from typing import Any

import pytest

Run = Any


def test_every_operation_is_shown_with_its_line(run: Run) -> None:
    shown = run("explain", "dense", "--n", "10000").stdout
    assert "tfcost/techniques/dense.py:31  scores = q @ k" in shown
    assert "307.2 GFLOP  4·b·n²·d" in shown
    assert "Assumes: h_kv divides h" in shown
    assert "Derived with torch 2.13.0" in shown


def test_the_sum_of_the_operations_is_the_step(run: Run) -> None:
    result = json.loads(run("explain", "dense", "--format", "json").stdout)["results"][0]
    for step in result["steps"]:
        for name, quantity in step["quantities"].items():
            parts = [one["quantities"][name]["value"] for one in result["operations"] if one["step"] == step["name"]]
            assert sum(parts) == quantity["value"]


def test_claims_stand_beside_derived_classes(run: Run) -> None:
    """`dense` has a layer: n**2*d of the core and n*d**2 of the projections, as claimed; `flat` lacks n**2*d."""
    (dense,) = json.loads(run("explain", "dense", "--format", "json").stdout)["explanation"]["claims"]
    assert (dense["claimed"], dense["derived_one_head"], dense["agrees"]) == ("n**2*d + n*d**2",) * 2 + (True,)
    (flat,) = json.loads(run("explain", "flat", "--format", "json").stdout)["explanation"]["claims"]
    assert (flat["derived"], flat["derived_one_head"], flat["agrees"]) == ("n*d**2/h", "n*d**2", False)


def test_a_readable_formula_says_where_it_holds(run: Run) -> None:
    plain, exact = run("explain", "tiled").stdout, run("explain", "tiled", "-v").stdout
    assert "4·b·n²·d" in plain
    assert "matmul FLOPs: the formula shown supposes n a multiple of 128" in plain
    assert "⌈n/128⌉" in exact
    assert "supposes" not in exact


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dnse"], "unknown technique 'dnse'; did you mean 'dense'?"),
        ([], "Missing argument 'TECHNIQUE'."),
        (["dense", "--wide"], "No such option: --wide"),
        (["dense", "--format", "yaml"], "Invalid value for '--format'"),
    ],
)
def test_a_wrong_question_is_one_line_and_exit_code_2(run: Run, arguments: list[str], expected: str) -> None:
    result = run("explain", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1
