"""`tfcost compare`: values and crossovers checked by hand, formats, and every wrong question."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

Run = Any


def document(run: Run, *arguments: str) -> Any:
    result = run("compare", *arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_values_are_exact_at_the_asked_sizes(run: Run) -> None:
    found = document(run, "dense", "flat", "--n", "10000", "--scope", "core")
    values = {one["technique"]: one["quantities"]["matmul_flops"]["value"] for one in found["results"]}
    assert values == {"dense": 4 * 12 * 10_000**2 * 64, "flat": 4 * 12 * 10_000 * 64**2}
    assert found["symbols"] == {"n": 10000, "m": 10000, "d": 768, "h": 12, "h_kv": 12, "d_h": 64, "b": 1}


def test_a_crossover_is_where_the_formulas_meet(run: Run) -> None:
    """4*h*n*n*d_h and 4*h*n*d_h**2 meet at n = d_h."""
    found = document(run, "dense", "flat", "--n", "10000", "--d-h", "80")
    (meeting,) = [one for one in found["crossovers"] if one["quantity"] == "matmul_flops"]
    assert (meeting["at"], meeting["cheaper_below"], meeting["cheaper_above"]) == (80, "dense", "flat")
    assert (meeting["symbol"], meeting["between"]) == ("n", ["dense", "flat"])


def test_integers_beyond_every_float_are_exact(run: Run) -> None:
    n = 10**30 + 1
    found = document(run, "dense", "flat", "--n", str(n), "--h", "1", "--d-h", "1")
    assert found["results"][0]["quantities"]["matmul_flops"]["value"] == 4 * n * n


def test_classes_use_the_symbols_of_the_source_document(run: Run) -> None:
    found = document(run, "dense", "flat", "--scope", "core")
    classes = {one["technique"]: one["quantities"]["matmul_flops"]["theta"] for one in found["results"]}
    assert classes == {"dense": "n**2*d", "flat": "n*d**2/h"}


def test_scopes_that_all_have_are_shown_the_core_first(run: Run) -> None:
    assert [one["scope"] for one in document(run, "dense", "tiled")["results"]] == ["core", "core", "layer", "layer"]
    assert {one["scope"] for one in document(run, "dense", "flat")["results"]} == {"core"}
    assert {one["scope"] for one in document(run, "dense", "tiled", "--scope", "layer")["results"]} == {"layer"}


def test_keys_follow_queries_only_where_they_are_not_given(run: Run) -> None:
    found = document(run, "dense", "flat", "--n", "100", "--m", "7")
    assert found["results"][0]["quantities"]["matmul_flops"]["value"] == 4 * 12 * 100 * 7 * 64
    assert found["results"][0]["quantities"]["matmul_flops"]["theta"] == "n*m*d"


def test_sizes_follow_from_each_other(run: Run) -> None:
    assert document(run, "dense", "flat", "--d", "1024", "--h", "8")["symbols"]["d_h"] == 128
    assert document(run, "dense", "flat", "--d-h", "32", "--h", "8")["symbols"]["d"] == 256
    assert document(run, "dense", "flat", "--d-h", "32", "--d", "256")["symbols"]["h"] == 8
    assert document(run, "dense", "flat", "--n", "16k")["symbols"]["n"] == 16 * 1024


def test_options_choose_the_variant(run: Run) -> None:
    found = document(run, "tiled", "flat", "--causal", "--option", "feature_map=exp", "--c", "128", "--n", "1024")
    flat = found["results"][1]
    assert flat["causal"] is True
    assert flat["options"] == {"causal": True, "feature_map": "exp"}
    assert flat["quantities"]["matmul_flops"]["value"] == 4 * 12 * 1024 * 64 * (64 + 128)


def test_a_size_that_breaks_an_assumption_is_warned_about(run: Run) -> None:
    result = run("compare", "tiled", "flat", "--causal", "--n", "1000")
    assert result.exit_code == 0
    warned = "flat: n = 1000 is not a multiple of c = 64: its formulas are exact at multiples only"
    assert result.stderr == f"warning: {warned}\n"
    assert run("compare", "tiled", "flat", "--causal", "--n", "1000", "-q").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dense", "flt"], "unknown technique 'flt'; did you mean 'flat'?"),
        (["dense"], "compare needs two different techniques; 'tfcost explain' shows a single one"),
        (["dense", "dense"], "compare needs two different techniques; 'tfcost explain' shows a single one"),
        (["dense", "flat", "--n", "0"], "--n: 0 is less than 1"),
        (["dense", "flat", "--n", "-5"], "--n: '-5' is not a whole number of at least 1"),
        (["dense", "flat", "--n", "1.5"], "--n: '1.5' is not a whole number"),
        (["dense", "flat", "--n", "nan"], "--n: 'nan' is not a whole number"),
        (["dense", "flat", "--n", "inf"], "--n: 'inf' is not a whole number"),
        (["dense", "flat", "--d", "100"], "d = 100 is not divisible by h = 12; give --h or --d-h"),
        (["dense", "flat", "--d", "100", "--d-h", "30"], "d = 100 is not divisible by d_h = 30; give --h as well"),
        (["dense", "flat", "--h-kv", "5"], "h = 12 is not divisible by h_kv = 5"),
        (["dense", "flat", "--w", "5"], "--w is not used by dense and flat; used there: n, m, d, h, h_kv, d_h, b"),
        (["dense", "flat", "--c", "5"], "--c is not used by dense and flat"),
        (["dense", "flat", "--option", "feature_map=rel"], "flat: feature_map = 'rel'; did you mean 'relu'?"),
        (["dense", "flat", "--option", "feature=relu"], "dense and flat: no option 'feature'; did you mean"),
        (["dense", "flat", "--option", "feature_map"], "--option: 'feature_map' is not NAME=VALUE"),
        (["dense", "flat", "--scope", "cor"], "--scope: unknown scope 'cor'; did you mean 'core'?"),
        (["dense", "flat", "--scope", "layer"], "flat has no cost for scope 'layer'; derived: core"),
        (["dense", "flat", "--pass", "backward"], "dense has no cost for pass 'backward'; derived: forward"),
        (["dense", "flat", "--dtype", "fp32"], "dense has no cost for dtype float32; derived: bfloat16, float16"),
        (["dense", "flat", "--device", "h100"], "unknown device 'h100'"),
        (["tiled", "flat", "--d-h", "96"], "tiled has no cost for d_h = 96; derived for d_h = 64, 128"),
        (["dense", "flat", "--causal"], "dense has no cost for causal=true; derived: causal=false"),
    ],
)
def test_a_wrong_question_is_one_line_and_exit_code_2(run: Run, arguments: list[str], expected: str) -> None:
    result = run("compare", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1


def test_csv_has_one_line_per_quantity_with_exact_values(run: Run) -> None:
    result = run("compare", "dense", "flat", "--n", "10000", "--format", "csv")
    rows = [row for row in csv.DictReader(io.StringIO(result.stdout)) if row["quantity"] == "matmul_flops"]
    totals = {row["technique"]: int(row["value"]) for row in rows if not row["step"]}
    assert totals == {"dense": 4 * 12 * 10_000**2 * 64, "flat": 4 * 12 * 10_000 * 64**2}


def test_latex_and_markdown_hold_the_formulas_as_math(run: Run) -> None:
    arguments = ["compare", "dense", "flat", "--n", "10000", "--format"]
    latex, markdown = run(*arguments, "latex").stdout, run(*arguments, "md").stdout
    for text in (latex, markdown):
        assert "$4 b n d d_h$" in text
        assert r"$\Theta(n^{2} d)$" in text
    assert latex.count(r"\begin{tabularx}") == latex.count(r"\end{tabularx}") > 3
    assert not re.search(r"(?<!\\)[_&#%]", re.sub(r"\$[^$]*\$| & |\\begin.*|% needs.*", "", latex))
    assert all(line.startswith("|") for line in markdown.splitlines() if "GFLOP" in line)


def test_output_goes_to_the_file_and_nowhere_else(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    result = run("compare", "dense", "flat", "--format", "json", "--output", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(path.read_text())["command"] == "compare"


def test_verbose_tables_hold_exact_formulas(run: Run) -> None:
    assert "⌈n/128⌉" in run("compare", "tiled", "flat", "-v").stdout


def test_the_least_is_marked_by_more_than_colour(run: Run) -> None:
    lines = run("compare", "dense", "flat", "--n", "10000").stdout.splitlines()
    marked = [line for line in lines if " * " in line]
    assert any(line.startswith("flat") and "MFLOP" not in line for line in marked)
    assert lines[-1] == "* the least of those compared"


def test_a_condition_between_sizes_is_an_error_where_it_does_not_hold(run: Run) -> None:
    result = run("compare", "narrow", "dense", "--m", "100")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: narrow: its formulas do not apply: m >= n does not hold at m = 100, n = 4096\n"


def test_further_scopes_are_left_out_where_they_do_not_apply(run: Run) -> None:
    arguments = ("compare", "narrow", "dense", "--n", "100")
    assert [one["scope"] for one in document(run, *arguments[1:])["results"]] == ["core", "core", "layer", "layer"]
    assert {one["scope"] for one in document(run, *arguments[1:], "--m", "120")["results"]} == {"core"}
    asked = run(*arguments, "--m", "120", "--scope", "layer")
    assert asked.exit_code == 2
    assert "m = n does not hold" in asked.stderr
