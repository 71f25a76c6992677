"""Splits that do not fit a model: one error each, at the line of the field."""

from pathlib import Path

import pytest

from tfcost.config.load import load_config
from tfcost.errors import UserError

MODEL = "name: small\nn: 64\nb: 8\nd: 96\nh: 12\nh_kv: 4\nL: 6\nV: 100\nhead: untied\nparallelism: {{{}}}\n"
WRONG = {
    "tensor: 5": "h = 12 is not divisible by tensor = 5",
    "tensor: 12": "h_kv = 4 is not divisible by tensor = 12",
    "tensor: 3": "h_kv = 4 is not divisible by tensor = 3",
    "pipeline: 4": "L = 6 is not divisible by pipeline = 4",
    "data: 3": "b = 8 is not divisible by data * micro_batches = 3",
    "data: 4, micro_batches: 4": "b = 8 is not divisible by data * micro_batches = 16",
    "context: 7": "n = 64 is not divisible by context = 7",
    "expert: 2, data: 2": "the model has no experts: give moe",
    "expert: 3, data: 2": "data = 2 is not divisible by expert = 3",
    "zero: 1": "zero: 1 needs GPUs to share with: give data",
    "zero: 4, data: 2": "there are stages 0 to 3, not 4",
    "sequence: true": "needs the GPUs of tensor",
    "tensor: 0": "tensor",
    "tensor: many": "tensor",
    "tensors: 2": "unknown key 'parallelism.tensors'",
}


@pytest.mark.parametrize("split", WRONG)
def test_refused(split: str, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(MODEL.format(split), encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_config(file)
    assert str(error.value).startswith(f"{file}:10: ")
    assert WRONG[split] in str(error.value)


def test_the_number_of_gpus(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(MODEL.format("tensor: 2, sequence: true, pipeline: 3, data: 4, zero: 1"), encoding="utf-8")
    found = load_config(file).parallelism
    assert found is not None
    assert found.gpus == 24
