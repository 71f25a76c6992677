"""`analyze` of a model split over GPUs, on the book that comes with tfcost."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tfcost.report

Run = Any
SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "result.schema.json").read_text(encoding="utf-8"))
MODEL = (
    "name: small\nn: 1k\nb: 8\nd: 1024\nh: 16\nh_kv: 8\nL: 8\nV: 32000\nf: 4096\nattention: flash\ncausal: true\n"
    "rope: true\nnorm_kind: rms\nnorm: pre\nffn: swiglu\nhead: untied\ntraining: {{optimizer: adamw}}\n{}\n"
)


def write(folder: Path, split: str) -> str:
    file = folder / "model.yaml"
    file.write_text(MODEL.format(f"parallelism: {{{split}}}" if split else ""), encoding="utf-8")
    return str(file)


def test_json_of_every_stage(real: Run, tmp_path: Path) -> None:
    file = write(tmp_path, "tensor: 2, sequence: true, pipeline: 4, micro_batches: 4, data: 2, zero: 1")
    result = real("analyze", file, "--pass", "train", "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    split = found["parallelism"]
    assert split["gpus"] == 16
    assert [one["stage"] for one in split["stages"]] == ["first", "second", "last"]
    for stage in split["stages"]:
        assert sum(one["value"] for one in stage["memory"].values()) == stage["peak_bytes"]["value"]
        assert {one["group"] for one in stage["communication"]} == {"T", "D", "Q"}
        for one in stage["communication"]:
            assert 0 < one["ring_bytes"]["value"] <= 2 * one["bytes"]["value"]


def test_weights_of_all_gpus_are_those_of_the_model(real: Run, tmp_path: Path) -> None:
    """Norms and nothing else are on both tensor-parallel GPUs."""
    found = [json.loads(real("analyze", write(tmp_path, split), "--pass", "train", "--format", "json").stdout)
             for split in ("tensor: 1", "tensor: 2")]  # fmt: skip
    one, two = (each["parallelism"]["stages"][0]["parameters"]["value"] for each in found)
    assert one == found[0]["parameters"]["value"]
    assert 2 * two - one == (2 * 8 + 1) * 1024


def test_each_stage_of_zero_keeps_less(real: Run, tmp_path: Path) -> None:
    peaks = []
    for zero in range(4):
        file = write(tmp_path, f"data: 8, zero: {zero}")
        document = json.loads(real("analyze", file, "--pass", "train", "--format", "json").stdout)
        peaks.append(document["parallelism"]["stages"][0]["peak_bytes"]["value"])
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] > peaks[-1]


@pytest.mark.parametrize("pass_", ["train", "forward"])
def test_tables(real: Run, tmp_path: Path, pass_: str) -> None:
    result = real("analyze", write(tmp_path, "tensor: 2, data: 2, zero: 3"), "--pass", pass_)
    assert result.exit_code == 0, result.stderr
    assert ("one GPU, 4 GPUs" in result.stdout) == (pass_ == "train")
    assert ("parallelism is told for --pass train" in result.stderr) == (pass_ == "forward")


def test_what_is_not_derived_is_refused(real: Run, tmp_path: Path) -> None:
    file = Path(write(tmp_path, "tensor: 2"))
    file.write_text(file.read_text(encoding="utf-8").replace("head: untied", "head: untied\nhead_bias: true"))
    result = real("analyze", str(file), "--pass", "train")
    assert result.exit_code == 2
    assert "the part 'head' of this model is not derived for several GPUs" in result.stderr
