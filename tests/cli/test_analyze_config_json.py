"""`tfcost analyze config.json`: the same answer as from YAML; what was assumed is told; mistakes end with 2."""

import json
from pathlib import Path
from typing import Any

import pytest

Run = Any
CONFIGS = Path(__file__).parents[2] / "configs"


def answer(run: Run, path: Path, *arguments: str) -> Any:
    result = run("analyze", str(path), *arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def without_names(document: Any) -> Any:
    return {key: value for key, value in document.items() if key not in ("model", "results")}


def test_the_answer_is_that_of_the_yaml_file(real: Run) -> None:
    ours, theirs = answer(real, CONFIGS / "gpt2.yaml"), answer(real, CONFIGS / "hf" / "gpt2.json")
    assert without_names(ours) == without_names(theirs)
    quantities = [[part["quantities"] for part in document["results"]] for document in (ours, theirs)]
    assert quantities[0] == quantities[1]


def test_what_was_assumed_is_told_unless_quiet(real: Run) -> None:
    told = real("analyze", str(CONFIGS / "hf" / "gpt2.json"))
    assert "note: gpt2: defaults of transformers" in told.stderr
    assert "note: gpt2: n = 1024 (all positions) and b = 1, unless the command line says others" in told.stderr
    assert real("analyze", str(CONFIGS / "hf" / "gpt2.json"), "-q").stderr == ""


def test_sizes_of_the_command_line(real: Run) -> None:
    assert answer(real, CONFIGS / "hf" / "gpt2.json", "--n", "512", "--b", "2")["symbols"]["n"] == 512


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", ":1: the file ends in the middle of a value"),
        ("{}", ":1: 'model_type' is missing"),
        ('{"model_type": "gpt3"}', ":1: model_type: 'gpt3' is not known; did you mean 'gpt2'?"),
        ('{"model_type": "gpt2",\n"n_head": "12"}', ":2: n_head: expected a whole number, found '12'"),
    ],
)
def test_a_mistake_ends_with_2_and_one_line(real: Run, tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    result = real("analyze", str(path))
    assert result.exit_code == 2
    assert f"{path}{expected}" in result.stderr
    assert "Traceback" not in result.stderr
