"""`--lengths`, `--cached`, `--prefill-chunk` on the command line: sums of single calls, documents, wrong questions."""

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
GPT2, LAYERS = str(CONFIGS / "gpt2.yaml"), str(CONFIGS / "long-document.yaml")


def document(run: Run, *arguments: str) -> Any:
    result = run(*arguments, "--format", "json", "-q")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    return found


def entry(found: Any, technique: str, quantity: str, scope: str = "core") -> Any:
    asked = {"technique": technique, "quantity": quantity, "scope": scope}
    (one,) = [one for one in found["batch"]["entries"] if asked.items() <= one.items()]
    return one


def alone(run: Run, *arguments: str, scope: str = "core") -> dict[str, int]:
    """The matmul FLOPs of each technique, or of the model, in a call of its own."""
    found = document(run, *arguments)
    results = [one for one in found["results"] if one["scope"] == scope]
    return {one["technique"]: one["quantities"]["matmul_flops"]["value"] for one in results}


@pytest.mark.parametrize("scope", ["core", "layer"])
def test_lengths_are_the_sum_of_single_comparisons(run: Run, scope: str) -> None:
    found = document(run, "compare", "dense", "tiled", "--lengths", "512,512,1000,4k", "--scope", scope)
    for name in ("dense", "tiled"):
        one = entry(found, name, "matmul_flops", scope)
        each = [alone(run, "compare", "dense", "tiled", "--n", str(n), "--scope", scope, scope=scope)[name]
                for n in (512, 512, 1000, 4096)]  # fmt: skip
        padded = alone(run, "compare", "dense", "tiled", "--n", "4096", "--b", "4", "--scope", scope, scope=scope)
        assert (one["exact"], one["plain"]) == (sum(each), padded[name])
    assert (found["batch"]["kind"], found["batch"]["against"]) == ("lengths", "padded")
    assert (found["symbols"]["b"], found["symbols"]["n"]) == (4, 4096)


def test_a_single_technique_is_enough(run: Run) -> None:
    shown = run("compare", "dense", "--lengths", "100,300", "--scope", "core").stdout
    assert "2 sequences of 100, 300 tokens: 400; padded to 300 each: 600, 33.3 % of them padding" in shown
    assert "quantity" in shown


def test_waste_is_what_padding_adds(run: Run) -> None:
    """4*h*n*n*d_h: 1 + 1 + 9 against 3*9 parts: 16 of 27, 59.3 %, are waste."""
    rows = run("compare", "dense", "flat", "--lengths", "100,100,300", "--scope", "core").stdout.splitlines()
    row = next(row.split() for row in rows[rows.index("core: matmul FLOPs") :] if row.startswith("dense"))
    assert row[-2:] == ["59.3", "%"]


def test_caches_add_up(real: Run) -> None:
    found = document(real, "compare", "kv-cache", "--cached", "1k,4k,32k")
    read = entry(found, "kv-cache", "algorithmic_flops")
    assert read["exact"] == 4 * 12 * 64 * (1024 + 4096 + 32768)
    assert read["plain"] == 4 * 12 * 64 * 3 * 32768
    assert found["results"][0]["pass"] == "decode"
    assert "b" in found["symbols"]


def test_a_window_and_a_state_do_not_depend_on_the_cache(real: Run) -> None:
    window = document(real, "compare", "kv-cache", "--cached", "50,900", "--w", "40", "--option", "cache=window")
    state = document(real, "compare", "linear", "--cached", "50,900", "--option", "fused=true")
    for found, name in ((window, "kv-cache"), (state, "linear")):
        one = entry(found, name, "issued_bytes")
        assert one["exact"] == one["plain"]
        assert found["symbols"]["b"] == 2
    short = real("compare", "kv-cache", "--cached", "30,900", "--w", "40", "--option", "cache=window")
    assert short.stderr == "error: kv-cache: its formulas do not apply: m > w does not hold at m = 30, w = 40\n"


def test_a_prompt_in_chunks_has_its_formula(real: Run) -> None:
    arguments = ("compare", "standard", "flash", "--causal", "--n", "16k", "--prefill-chunk", "2k", "--scope", "core")
    found = document(real, *arguments)
    one = entry(found, "standard", "matmul_flops")
    assert (one["formula"], one["formula_holds_for"]) == ("2*b*d*n**2 + 4096*b*d*n", "n a multiple of 2048")
    assert one["exact"] == 2 * 768 * 16384**2 + 4096 * 768 * 16384
    assert (found["batch"]["n"], found["batch"]["numbers"]) == (16384, [2048])
    shown = real(*arguments).stdout
    assert "16384 tokens in 8 chunks of 2048\n" in shown
    assert "formulas: for n a multiple of 2048" in shown
    rest = real("compare", "flash", "--causal", "--n", "5000", "--prefill-chunk", "2k").stdout
    assert "5000 tokens in 3 chunks of 2048, the last of 904" in rest


def test_scopes_without_a_formula_are_left_out(real: Run) -> None:
    """A layer has no keys but its queries; top-k's layer in chunks has no core of the same steps."""
    found = document(real, "compare", "flash", "--causal", "--n", "4k", "--prefill-chunk", "1k")
    assert {one["scope"] for one in found["batch"]["entries"]} == {"core", "layer"}


def test_a_model_takes_batches_too(real: Run) -> None:
    found = document(real, "analyze", GPT2, "--lengths", "128,1024")
    assert found["command"] == "analyze"
    one = entry(found, "GPT-2", "matmul_flops", "model")
    each = [alone(real, "analyze", GPT2, "--n", str(n), scope="model")["GPT-2"] for n in (128, 1024)]
    assert one["exact"] == sum(each)
    assert one["plain"] == alone(real, "analyze", GPT2, "--b", "2", scope="model")["GPT-2"]


def test_models_are_compared_on_a_batch(real: Run) -> None:
    found = document(real, "compare", GPT2, LAYERS, "--lengths", "64,256", "--pass", "train")
    assert {one["technique"] for one in found["batch"]["entries"]} == {"GPT-2", "long document"}
    chunked = document(real, "compare", GPT2, LAYERS, "--causal", "--n", "512", "--prefill-chunk", "128")
    assert chunked["batch"]["n"] == 512


@pytest.mark.parametrize("notation", ["md", "latex", "csv"])
def test_other_notations(real: Run, notation: str) -> None:
    result = real("compare", "kv-cache", "--cached", "100,200", "--format", notation)
    assert result.exit_code == 0, result.stderr
    if notation == "csv":
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert {row["quantity"] for row in rows} >= {"matmul_flops", "peak_bytes", "predicted_time"}


@pytest.mark.parametrize("columns", ["40", "80"])
def test_no_line_is_wider_than_the_terminal(real: Run, columns: str) -> None:
    arguments = ("compare", "flash", "--causal", "--n", "4k", "--prefill-chunk", "1k")
    shown = real(*arguments, env={"COLUMNS": columns}).stdout
    assert max(map(len, shown.splitlines())) <= int(columns)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dense", "--lengths", "512", "--n", "512"], "--n is not used with --lengths: it says how many sequences"),
        (["dense", "--lengths", "512,x"], "--lengths: 'x' is not a whole number of at least 1"),
        (["dense", "--lengths", "512,"], "--lengths: '' is not a whole number"),
        (["dense", "--lengths", "512,0"], "--lengths: 0 is less than 1"),
        (["dense", "--lengths", ""], "--lengths: '' is not a whole number"),
        (["dense", "--lengths", "1k:4k"], "--lengths: '1k:4k' is not a whole number"),
        (["dense", "--lengths", ",".join(["1"] * 5000)], "--lengths: 5000 sequences, of at most 4096"),
        (["dense", "--lengths", "512", "--cached", "512"], "--lengths and --cached exclude each other"),
        (["dense", "--cached", "512"], "dense has no cost for pass 'decode'; derived: forward"),
        (["dense", "--cached", "512", "--pass", "forward"], "--cached is about decoding, not about --pass forward"),
        (["dense", "--cached", "512", "--b", "2"], "--b is not used with --cached: it says how many sequences"),
        (["dense", "--prefill-chunk", "512"], "dense: chunks need causal attention"),
        (["dense", "--prefill-chunk", "512", "--n", "1k:4k"], "--prefill-chunk needs a single --n"),
        (["dense", "--prefill-chunk", "512", "--m", "4k"], "--m is not used with --prefill-chunk: the keys of a chunk"),
        (["dense", "--prefill-chunk", "0"], "--prefill-chunk: 0 is less than 1"),
        (["dense", "--prefill-chunk", "512", "--pass", "train"], "--prefill-chunk is about a forward pass, not about"),
        (["dense", "--lengths", "512,4k", "--plot", "a.svg"], "--plot needs several lengths, such as --n 1k:1M"),
        (
            ["tiled", "--causal", "--n", "1M", "--prefill-chunk", "1"],
            "--prefill-chunk: 1048576 tokens in chunks of 1 are",
        ),
        (["dense", GPT2, "--lengths", "512"], "compare takes techniques or model files, not both"),
    ],
)
def test_a_wrong_question_is_one_line_and_exit_code_2(run: Run, arguments: list[str], expected: str) -> None:
    result = run("compare", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["analyze", GPT2, "--lengths", "128,4096"], "--lengths: n = 4096 is more than max_positions = 1024"),
        (["analyze", LAYERS, "--prefill-chunk", "512"], "standard: chunks need causal attention"),
        (
            ["compare", GPT2, LAYERS, "--causal", "--prefill-chunk", "99"],
            "--prefill-chunk: prompts of different lengths",
        ),
    ],
)
def test_a_wrong_question_about_models(real: Run, arguments: list[str], expected: str) -> None:
    result = real(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1
