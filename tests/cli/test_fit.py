"""`tfcost analyze --solve` and `--fit`: what is shown, the documents, and what is refused."""

import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tfcost.report

Run = Any
CONFIGS = Path(__file__).parents[2] / "configs"
GPT2 = str(CONFIGS / "gpt2.yaml")
SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "fit.schema.json").read_text(encoding="utf-8"))


def analyze(run: Run, *arguments: str) -> Any:
    result = run("analyze", *arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    jsonschema.validate(document, SCHEMA)
    return document


def peak(run: Run, *arguments: str) -> int:
    result = run("analyze", GPT2, "--pass", "train", *arguments, "--format", "json")
    return int(json.loads(result.stdout)["results"][0]["quantities"]["peak_bytes"]["value"])


def test_the_largest_batch_is_what_analyze_says_of_it(real: Run) -> None:
    found = analyze(real, GPT2, "--pass", "train", "--solve", "b", "--fit", "80GiB")
    solved, memory = found["solve"], 80 * 2**30
    assert found["memory_bytes"] == memory
    assert solved["peak_bytes"] == peak(real, "--b", str(solved["largest"])) <= memory
    assert solved["peak_bytes_after"] == peak(real, "--b", str(solved["largest"] + 1)) > memory


def test_the_devices_memory_unless_another_is_said(real: Run) -> None:
    assert analyze(real, GPT2, "--solve", "b", "--device", "l4")["memory_bytes"] == 24 * 10**9
    assert analyze(real, GPT2, "--solve", "b", "--device", "l4", "--fit", "1GB")["memory_bytes"] == 10**9
    shown = real("analyze", GPT2, "--solve", "b", "--device", "apple-m3-max", "--dtype", "fp16").stdout
    assert "which the CPU's programs share" in " ".join(shown.split())


def test_what_is_shown_of_nothing_and_everything(real: Run) -> None:
    assert "nothing fits: not even b = 1" in real("analyze", GPT2, "--solve", "b", "--fit", "1MiB").stdout
    shown = real("analyze", GPT2, "--solve", "n", "--fit", "80GiB").stdout
    assert "the largest n that fits: 1024" in shown
    assert "everything fits: the model has 1024 positions" in shown
    assert analyze(real, GPT2, "--solve", "layers", "--fit", "1MiB")["solve"]["largest"] is None


def test_what_would_make_it_fit(real: Run) -> None:
    found = analyze(real, GPT2, "--pass", "train", "--b", "200", "--fit", "80GiB")["fit"]
    first, *options = found["options"]
    assert (found["fits"], first["option"], first["fits"]) == (False, "as it is", False)
    flash = next(option for option in options if option["option"] == "flash attention")
    assert flash["peak_bytes"] < first["peak_bytes"]
    batch = next(option for option in options if option["option"].startswith("batch "))
    assert batch["fits"]
    shown = real("analyze", GPT2, "--pass", "train", "--b", "200", "--fit", "80GiB").stdout
    assert "what would make it fit" in shown
    assert "it fits as it is" in real("analyze", GPT2, "--fit", "80GiB").stdout
    table = real("analyze", GPT2, "--fit", "80GiB", "--format", "csv").stdout.splitlines()
    assert table[0] == "option,peak_bytes,seconds,fits,same_model"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--fit", "80G"], "--fit: '80G' has no unit of memory: write 80GiB"),
        (["--fit", "much"], "--fit: 'much' is not an amount of memory"),
        (["--fit", "0GB"], "--fit: '0GB' is not at least 1 byte"),
        (["--solve", "q"], "--solve: no model is solved for 'q'; known: L, b, n"),
        (["--solve", "n", "--pass", "sideways"], "--pass sideways: "),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(real: Run, arguments: list[str], expected: str) -> None:
    result = real("analyze", GPT2, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1


def test_solving_takes_no_longer_than_a_second(real: Run) -> None:
    analyze(real, GPT2, "--pass", "train", "--solve", "b", "--fit", "80GiB")
    begun = time.process_time()
    analyze(real, GPT2, "--pass", "train", "--solve", "b", "--fit", "80GiB")
    assert time.process_time() - begun < 1
