"""`tfcost compare a.yaml b.yaml`: the values of each alone, ratios, crossovers looked at on both sides, wrong files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tfcost.report

Run = Any
SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "result.schema.json").read_text(encoding="utf-8"))
CONFIGS = Path(__file__).parents[2] / "configs"
GPT2, BERT = str(CONFIGS / "gpt2.yaml"), str(CONFIGS / "bert-base.yaml")


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """A shallow model whose attention grows with n**2, a deeper one whose does not."""
    for name, layers, attention in (("short", 2, "standard"), ("deep", 6, "linear")):
        text = f"name: {name}\nn: 512\nd: 128\nh: 2\nL: {layers}\nattention: {attention}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    return str(tmp_path / "short.yaml"), str(tmp_path / "deep.yaml")


def document(run: Run, *arguments: str) -> Any:
    result = run("compare", *arguments, "--format", "json", "-q")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    return found


def analyzed(run: Run, *arguments: str) -> Any:
    """The whole model as `analyze` has it."""
    found = json.loads(run("analyze", *arguments, "--format", "json", "-q").stdout)
    return next(one for one in found["results"] if one["scope"] == "model")


def test_parameters_are_the_published_ones(real: Run) -> None:
    """GPT-2 small: 124,439,808; BERT base without pooler: 109,482,240 less 768 * 768 + 768."""
    found = document(real, GPT2, BERT)
    weights = [one["quantities"]["parameters"]["value"] for one in found["results"]]
    assert weights == [124_439_808, 109_482_240 - 768 * 769]
    assert [one["technique"] for one in found["results"]] == ["GPT-2", "BERT base"]
    assert [one["symbols"]["n"] for one in found["results"]] == [1024, 512]
    assert "n" not in found["symbols"]
    assert found["symbols"]["d"] == 768


@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_values_are_those_of_each_alone(real: Run, pass_: str, two: tuple[str, str]) -> None:
    found = document(real, *two, "--n", "768", "--pass", pass_)
    for path, one in zip(two, found["results"], strict=True):
        alone = analyzed(real, path, "--n", "768", "--pass", pass_)
        for quantity, entry in one["quantities"].items():
            assert entry["value"] == alone["quantities"][quantity]["value"]
        assert one["prediction"]["seconds"] == alone["prediction"]["seconds"]


def test_a_crossover_is_where_the_cheaper_one_changes(real: Run, two: tuple[str, str]) -> None:
    """The formulas are evaluated on both sides of every crossing, by `analyze`."""
    found = document(real, *two)
    crossed = {one["quantity"]: one for one in found["crossovers"]}
    assert {"matmul_flops", "issued_bytes", "predicted_time"} <= crossed.keys()
    for quantity in ("matmul_flops", "issued_bytes"):
        one = crossed[quantity]
        assert one["exact"]
        assert (one["cheaper_below"], one["cheaper_above"]) == ("short", "deep")
        for n, shallow_is_cheaper in ((one["at"] - 1, True), (one["settled_at"] + 1, False)):
            shallow, deep = (analyzed(real, path, "--n", str(n))["quantities"][quantity]["value"] for path in two)
            assert (shallow < deep) is shallow_is_cheaper


def test_along_n_each_value_is_that_length_alone(real: Run, two: tuple[str, str]) -> None:
    found = document(real, *two, "--n", "128,300,2k")
    for one in found["sweep"]["series"]:
        path = two[0] if one["technique"] == "short" else two[1]
        for n, value in zip((128, 300, 2048), one["values"], strict=True):
            alone = analyzed(real, path, "--n", str(n))
            entry = alone["prediction"] if one["quantity"] == "predicted_time" else alone["quantities"][one["quantity"]]
            assert value == pytest.approx(entry.get("value", entry.get("seconds")), rel=1e-12)


def test_tables_hold_ratios_to_the_first(real: Run, two: tuple[str, str]) -> None:
    shown = real("compare", *two, "--format", "md").stdout
    assert "| quantity | short | deep | deep / short |" in shown
    row = next(line for line in shown.splitlines() if line.startswith("| parameter memory"))
    assert row.split("|")[-2].strip() == "3"  # layers of the same weights, 6 against 2
    swept = real("compare", *two, "--n", "128:1k", env={"COLUMNS": "100"}).stdout
    assert "deep / short" in swept


def test_csv_has_a_line_per_quantity(real: Run, two: tuple[str, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(real("compare", *two, "--format", "csv").stdout)))
    assert {row["technique"] for row in rows} == {"short", "deep"}


def test_lengths_beyond_the_learned_positions_have_no_value(real: Run) -> None:
    result = real("compare", GPT2, BERT, "--n", "256:2k")
    assert result.exit_code == 0
    assert "–: BERT base: n = 1024 is more than max_positions = 512" in result.stdout
    found = document(real, GPT2, BERT, "--n", "256:2k")
    series = {(one["technique"], one["quantity"]): one["values"] for one in found["sweep"]["series"]}
    assert [value is None for value in series["BERT base", "matmul_flops"]] == [False, False, True, True]
    assert [value is None for value in series["GPT-2", "predicted_time"]] == [False, False, False, True]


def test_models_of_one_name_are_called_after_their_files(real: Run, tmp_path: Path) -> None:
    for name, depth in (("a", 2), ("b", 4)):
        (tmp_path / f"{name}.yaml").write_text(f"name: same\nn: 64\nd: 64\nh: 1\nL: {depth}\n")
    found = document(real, str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    assert [one["technique"] for one in found["results"]] == ["a", "b"]


def test_a_plot_of_models_goes_to_its_file(real: Run, two: tuple[str, str], tmp_path: Path) -> None:
    result = real("compare", *two, "--n", "128:1k", "--plot", str(tmp_path / "out.svg"))
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "out.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([GPT2, "flash"], f"compare takes techniques or model files, not both: 'flash' and '{GPT2}'"),
        (["flash", "linear", GPT2], f"compare takes techniques or model files, not both: 'flash' and '{GPT2}'"),
        ([GPT2], f"compare needs two different models; 'tfcost analyze {GPT2}' shows a single one"),
        ([GPT2, GPT2], "compare needs two different models"),
        ([GPT2, "nowhere.yaml"], "nowhere.yaml: No such file or directory"),
        ([GPT2, "configs/nothing"], "configs/nothing: No such file or directory"),
        ([GPT2, BERT, "--n", "1024"], "--n: n = 1024 is more than max_positions = 512"),
        ([GPT2, BERT, "--n", "4k,8k"], "GPT-2: n = 8192 is more than max_positions = 1024"),
        ([GPT2, BERT, "--n", "4k:1k"], "--n: '4k:1k' goes down"),
        ([GPT2, BERT, "--w", "5"], "--w is not used for whole models"),
        ([GPT2, BERT, "--scope", "core"], "--scope is not used for whole models"),
        ([GPT2, BERT, "--plot", "a.svg"], "--plot needs several lengths"),
    ],
)
def test_a_wrong_question_is_one_line_and_exit_code_2(real: Run, arguments: list[str], expected: str) -> None:
    result = real("compare", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1
