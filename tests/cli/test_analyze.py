"""`tfcost analyze`: whole models on the real book, against counts made from the models' published shapes."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tfcost.report

Run = Any
CONFIGS = Path(__file__).parents[2] / "configs"
SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "result.schema.json").read_text(encoding="utf-8"))

MODEL = "name: small\nn: 32\nd: 64\nh: 4\nL: 2\nffn_bias: true\n"


def analyze(run: Run, config: str, *arguments: str) -> Any:
    result = run("analyze", str(CONFIGS / f"{config}.yaml"), *arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    jsonschema.validate(document, SCHEMA)
    return document


def test_gpt2_has_the_parameters_that_were_published(real: Run) -> None:
    d, layer_norm = 768, 2 * 768
    attention = d * 3 * d + 3 * d + d * d + d
    ffn = d * 4 * d + 4 * d + 4 * d * d + d
    shapes = 50257 * d + 1024 * d + 12 * (attention + ffn + 2 * layer_norm) + layer_norm
    assert analyze(real, "gpt2")["parameters"]["value"] == shapes == 124_439_808


def test_bert_has_the_parameters_that_were_published(real: Run) -> None:
    """BERT base has 109,482,240 with its pooler, a d×d layer with a bias, which the configuration leaves out."""
    assert analyze(real, "bert-base")["parameters"]["value"] == 109_482_240 - (768 * 768 + 768)


def matmul_flops(*products: tuple[int, int, int]) -> int:
    return sum(2 * rows * inner * columns for rows, inner, columns in products)


def test_the_matrix_products_of_the_long_document(real: Run) -> None:
    n, d, h = 10_000, 768, 12
    projections = [(n, d, d)] * 4
    heads = [(n, d // h, n), (n, n, d // h)] * h
    ffn = [(n, d, 4 * d), (n, 4 * d, d)]
    model = analyze(real, "long-document")["results"][0]
    assert model["quantities"]["matmul_flops"]["value"] == 12 * matmul_flops(*projections, *heads, *ffn)


@pytest.mark.parametrize("config", ["gpt2", "bert-base", "long-document"])
@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_steps_add_up_to_parts_and_parts_to_the_model(real: Run, config: str, pass_: str) -> None:
    model, layer, *parts = analyze(real, config, "--pass", pass_)["results"]
    for name in ("matmul_flops", "scalar_flops", "issued_bytes"):
        whole = model["quantities"][name]["value"]
        steps = [step["quantities"][name] for step in model["steps"] if name in step["quantities"]]
        assert sum(step["value"] for step in steps) == whole
        assert sum(Fraction(step["share"]) for step in steps) == pytest.approx(1)
        assert sum(part["quantities"][name]["value"] for part in parts if name in part["quantities"]) == whole
        in_layers = [step for step in model["steps"] if step["count"] == "L" and name in step["quantities"]]
        assert layer["quantities"][name]["value"] * 12 == sum(step["quantities"][name]["value"] for step in in_layers)


def test_short_sequences_are_ruled_by_d_and_long_ones_by_n(real: Run) -> None:
    """24*n*d**2 of projections and feed-forward network gives way to 4*n**2*d of the scores at n = 6*d."""
    (rule,) = [
        one
        for one in analyze(real, "gpt2")["dominance"]
        if (one["scope"], one["quantity"]) == ("layer", "matmul_flops")
    ]
    assert (rule["largest"], [(flip["at"], flip["formula"]) for flip in rule["flips"]]) == (
        "24*b*d**2*n",
        [(6 * 768, "6*d")],
    )
    shown = real("analyze", str(CONFIGS / "gpt2.yaml")).stdout
    assert "at n = 1024 the largest term is 24·b·n·d² (81.8 %): d rules" in shown
    assert "from n = 6·d = 4608 on 4·b·n²·d is larger than 24·b·n·d²: n rules" in shown


def test_the_time_of_every_step_and_what_bounds_it(real: Run) -> None:
    model = analyze(real, "gpt2", "--pass", "train", "--device", "nvidia-h100-80gb-hbm3")["results"][0]
    found = model["prediction"]
    assert found["device"] == "NVIDIA H100 80GB HBM3"
    assert sum(step["seconds"] for step in found["steps"]) == pytest.approx(found["seconds"])
    assert {step["bound"] for step in found["steps"]} == {"compute", "memory", "launch"}
    assert 0 < found["mfu"] <= found["hfu"] < 1
    assert 0 < found["bandwidth_use"] < 1
    shown = real("analyze", str(CONFIGS / "gpt2.yaml")).stdout
    assert "time on NVIDIA H100 SXM5 80 GB, a prediction" in shown
    assert "MFU " in shown
    assert "of 3.35 TB/s" in shown


def test_a_device_without_a_peak_for_the_dtype(real: Run) -> None:
    model = analyze(real, "gpt2", "--device", "apple-m3-max")["results"][0]
    assert "prediction" not in model
    assert model["no_prediction"].endswith("has no peak for bfloat16, only for float16, float32")
    shown = real("analyze", str(CONFIGS / "gpt2.yaml"), "--device", "apple-m3-max").stdout
    assert "no prediction: Apple M3 Max" in " ".join(shown.split())
    half = analyze(real, "gpt2", "--device", "apple-m3-max", "--dtype", "fp16")["results"][0]
    assert half["prediction"]["lacks"] == ["apple-m3-max has no figure for launches: they count as no time"]


def test_the_command_line_goes_over_the_file(real: Run) -> None:
    found = analyze(real, "long-document", "--n", "1k", "--b", "4", "--causal", "--dtype", "fp16")
    assert (found["symbols"]["n"], found["symbols"]["b"]) == (1024, 4)
    assert (found["results"][0]["causal"], found["conventions"]["dtype"]) == (True, "float16")


def test_flash_needs_less_memory_and_as_many_products(real: Run, tmp_path: Path) -> None:
    text = (CONFIGS / "long-document.yaml").read_text()
    (tmp_path / "flash.yaml").write_text(text.replace("n: 10000", "n: 8192").replace("standard", "flash"))
    result = real("analyze", str(tmp_path / "flash.yaml"), "--format", "json")
    flash = json.loads(result.stdout)["results"][0]["quantities"]
    standard = analyze(real, "long-document", "--n", "8192")["results"][0]["quantities"]
    assert flash["matmul_flops"]["value"] == standard["matmul_flops"]["value"]
    assert flash["matmul_flops"]["theta"] == standard["matmul_flops"]["theta"] == "L*n**2*d + L*n*d**2"
    assert flash["peak_bytes"]["value"] * 5 < standard["peak_bytes"]["value"]
    assert "n**2" not in flash["peak_bytes"]["theta"]


def test_a_tied_head_is_not_counted_twice(real: Run) -> None:
    result = real("analyze", str(CONFIGS / "gpt2.yaml"))
    table = result.stdout.split("\nparameters\n")[1].split("\n\n")[0].splitlines()[1:]
    numbers = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in table if "," in line.split()[1]}
    assert numbers.pop("model") == sum(numbers.values())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--m", "5"], "--m is not used for whole models"),
        (["--w", "5"], "--w is not used for whole models"),
        (["--scope", "core"], "--scope is not used for whole models"),
        (["--pass", "backward"], "--pass backward: a model has the passes forward, train, prefill and decode"),
        (["--n", "0"], "--n: 0 is less than 1"),
        (["--n", "2k"], "--n: n = 2048 is more than max_positions = 1024"),
        (["--h", "7"], "--h: d = 768 is not divisible by h = 7"),
        (["--dtype", "fp8"], "--dtype: no such choice: 'fp8'"),
        (["--option", "feature_map=relu"], "attention_options: standard has no feature_map = relu"),
        (["--device", "h100-sxn"], "unknown device 'h100-sxn'; did you mean 'h100-sxm'?"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(real: Run, arguments: list[str], expected: str) -> None:
    result = real("analyze", str(CONFIGS / "gpt2.yaml"), *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (MODEL + "heads: 4\n", ":7: unknown key 'heads'"),
        (MODEL + "attention: flsh\n", ":7: unknown technique 'flsh'; did you mean 'flash'?"),
        (MODEL.replace("32", "many"), ":2: n: 'many' is not a whole number"),
        (MODEL.replace("h: 4", "h: 5"), ":4: d = 64 is not divisible by h = 5"),
        (MODEL + "n: 5\n", ":7: duplicate key 'n', first on line 2"),
        (MODEL + "ffn: !!python/object/apply:os.system [ls]\n", ":7: the tag !!python/object/apply:os.system"),
        ("", ":1: the file is empty"),
        ("\x00\x01", ":1: not a text file"),
        ("a: &a [x]\nb: [*a, *a]\n", ":1: anchors and aliases are not allowed"),
        ("x" * 1_000_001, ": larger than 1000 kB"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_2(real: Run, tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(content)
    result = real("analyze", str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {path}{expected}")
    assert result.stderr.count("\n") == 1


def test_no_line_is_wider_than_the_terminal(real: Run) -> None:
    for columns in ("60", "100", "160"):
        shown = real("analyze", str(CONFIGS / "gpt2.yaml"), env={"COLUMNS": columns}).stdout
        assert max(map(len, shown.splitlines())) <= int(columns)
