"""`tfcost compare --n 1k:1M`: every value as at that length alone, crossovers, plots, and every wrong sweep."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tfcost.report

Run = Any
SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "result.schema.json").read_text(encoding="utf-8"))


def document(run: Run, *arguments: str) -> Any:
    result = run("compare", *arguments, "--format", "json", "-q")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    return found


def values(found: Any, technique: str, quantity: str, scope: str = "core") -> list[Any]:
    asked = {"technique": technique, "quantity": quantity, "scope": scope}
    (series,) = [one for one in found["sweep"]["series"] if asked.items() <= one.items()]
    return series["values"]


def test_values_are_the_formula_at_every_length(run: Run) -> None:
    found = document(run, "dense", "flat", "--n", "1k:1M", "--h", "2", "--d-h", "8")
    lengths = [1024 * 2**step for step in range(11)]
    assert (found["sweep"]["symbol"], found["sweep"]["at"]) == ("n", lengths)
    assert values(found, "dense", "matmul_flops") == [4 * 2 * n * n * 8 for n in lengths]
    assert values(found, "flat", "matmul_flops") == [4 * 2 * n * 64 for n in lengths]


@pytest.mark.parametrize("scope", ["core", "layer"])
def test_values_are_those_of_single_comparisons(run: Run, scope: str) -> None:
    """Predicted times and rounded tiles included, at lengths that are no multiples of the tiles."""
    found = document(run, "dense", "tiled", "--n", "100,257,1000", "--scope", scope)
    for place, n in enumerate((100, 257, 1000)):
        alone = document(run, "dense", "tiled", "--n", str(n), "--scope", scope)
        for one in alone["results"]:
            for quantity, entry in one["quantities"].items():
                assert values(found, one["technique"], quantity, scope)[place] == entry["value"]
            assert values(found, one["technique"], "predicted_time", scope)[place] == one["prediction"]["seconds"]


def test_crossovers_are_those_of_the_formulas_wherever_the_sweep_looks(run: Run) -> None:
    """4*h*n*n*d_h and 4*h*n*d_h**2 meet at n = d_h, below the first length and beyond the last one as well."""
    for lengths in ("16:256", "1k:1M", "2,4"):
        found = document(run, "dense", "flat", "--n", lengths, "--d-h", "80")
        (meeting,) = [one for one in found["crossovers"] if one["quantity"] == "matmul_flops"]
        assert (meeting["at"], meeting["formula"], meeting["exact"]) == (80, "d_h", True)


def test_results_are_at_the_longest_length(run: Run) -> None:
    found = document(run, "dense", "flat", "--n", "16,64,4096")
    assert found["symbols"]["n"] == 4096
    assert found["results"][0]["quantities"]["matmul_flops"]["value"] == 4 * 12 * 4096**2 * 64


def test_lengths_that_formulas_do_not_apply_to_have_no_value(run: Run) -> None:
    """`narrow` needs m >= n."""
    result = run("compare", "narrow", "dense", "--n", "50,100,200", "--m", "100", "--scope", "core")
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if line.startswith("200"))
    assert "–" in row
    assert "–: narrow: its formulas do not apply: m >= n does not hold at m = 100, n = 200" in result.stdout
    found = document(run, "narrow", "dense", "--n", "50,100,200", "--m", "100", "--scope", "core")
    assert values(found, "narrow", "matmul_flops") == [4 * 12 * 50 * 64, 4 * 12 * 100 * 64, None]
    assert [gap["technique"] for gap in found["sweep"]["gaps"]] == ["narrow"]
    assert found["symbols"]["n"] == 100


def test_csv_has_one_line_per_length(run: Run) -> None:
    result = run("compare", "dense", "flat", "--n", "1k,4k", "--format", "csv", "--scope", "core")
    rows = [row for row in csv.DictReader(io.StringIO(result.stdout)) if row["quantity"] == "matmul_flops"]
    found = {(row["technique"], int(row["n"])): int(row["value"]) for row in rows}
    assert found[("dense", 4096)] == 4 * 12 * 4096**2 * 64
    assert len(found) == 4


@pytest.mark.parametrize("notation", ["md", "latex"])
def test_other_notations_hold_the_tables(run: Run, notation: str) -> None:
    text = run("compare", "dense", "flat", "--n", "1k:4k", "--format", notation).stdout
    assert text.count("3.221 GFLOP") == 1
    assert "cheaper below n = 64: dense" in text


def test_the_terminal_shows_a_plot_of_every_quantity(run: Run) -> None:
    shown = run("compare", "dense", "flat", "--n", "16:1k", "--scope", "core").stdout
    assert shown.count("A dense  B flat") == 4
    assert shown.count("A dense  B flat  × crossover") == 2  # FLOPs meet at n = d_h, memory at n = 3*d_h
    assert any("⠀" < sign <= "⣿" for sign in shown)


@pytest.mark.parametrize("columns", ["20", "40", "60", "200"])
def test_no_line_is_wider_than_the_terminal(run: Run, columns: str) -> None:
    shown = run("compare", "dense", "flat", "--n", "16:1k", env={"COLUMNS": columns}).stdout
    assert max(map(len, shown.splitlines())) <= max(int(columns), 30)


def test_an_ascii_terminal_gets_a_plot_in_ascii(start: Any) -> None:
    found = start("compare", "dense", "flat", "--n", "16:1k", env={"PYTHONIOENCODING": "ascii"})
    assert (found.returncode, found.stderr) == (0, b"")
    assert "A dense  B flat  X crossover" in found.stdout.decode("ascii")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--n", "1M:1k"], "--n: '1M:1k' goes down; write 1k:1M"),
        (["--n", "1k:"], "--n: '1k:' is not a range; write FROM:TO, as in 1k:1M"),
        (["--n", "1:1e30"], "--n: '1:1e30' has 101 sizes, of at most 64"),
        (["--n", "1k,x"], "--n: 'x' is not a whole number"),
        (["--n", "1k", "--plot", "out.svg"], "--plot needs several lengths, such as --n 1k:1M"),
        (["--n", "1k:4k", "--plot", "out.bmp"], "--plot: 'out.bmp' does not say what to draw: the name must end in"),
        (["--n", "1k:4k", "--plot", "nowhere/out.svg"], "--plot: cannot write nowhere/out.svg: no such folder"),
        (["--n", "1k:4k", "--b", "1:4"], "--b: '1:4' is not a whole number"),
        (["--n", "200,400", "--m", "100", "--scope", "core"], "narrow: its formulas do not apply: m >= n"),
    ],
)
def test_a_wrong_sweep_is_one_line_and_exit_code_2(run: Run, arguments: list[str], expected: str) -> None:
    result = run("compare", "dense", "narrow", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1


def test_without_matplotlib_a_plot_names_the_extra(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("compare", "dense", "flat", "--n", "1k:4k", "--plot", str(tmp_path / "out.svg"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: plots need matplotlib: pip install 'transformer-cost[plot]'\n"


@pytest.mark.parametrize("name", ["out.svg", "out.PNG", "out.pdf"])
def test_a_plot_goes_to_its_file(run: Run, tmp_path: Path, name: str) -> None:
    result = run("compare", "dense", "flat", "--n", "16:1k", "--plot", str(tmp_path / name))
    assert result.exit_code == 0, result.stderr
    start = (tmp_path / name).read_bytes()[:5]
    assert start == {"out.svg": b"<?xml", "out.PNG": b"\x89PNG\r", "out.pdf": b"%PDF-"}[name]


def test_matplotlib_is_imported_for_a_plot_alone(start: Any) -> None:
    found = start("compare", "dense", "flat", "--n", "1k:4k", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert found.returncode == 0
    assert b"matplotlib" not in found.stderr
