"""Models measured by configuration on a machine that pretends: every pass is recorded, and says which code ran."""

from pathlib import Path
from typing import Any

import pytest

from tfcost.book import load_book
from tfcost.config.load import make_config
from tfcost.errors import UserError
from tfcost.evidence.read import read_evidence
from tfcost.measure.booked import techniques_of
from tfcost.measure.command import Settings, measure
from tfcost.measure.model import model_program
from tfcost.measure.plan import model_cases

BOOK = load_book()
LLAMA: dict[str, Any] = {
    "name": "llama", "n": 64, "d": 64, "h": 4, "h_kv": 2, "L": 2, "V": 90, "f": 128, "causal": True, "norm_kind": "rms",
    "norm": "pre", "rope": True, "ffn": "swiglu", "head": "untied",
    "training": {"optimizer": "adamw", "recompute": "full"},
}  # fmt: skip


def test_every_pass_is_recorded_with_its_configuration(machine: Path, settings: Settings) -> None:
    cases = model_cases(make_config(LLAMA, BOOK.names), BOOK, ("forward", "train", "decode"))
    result = measure(cases, BOOK, settings)
    assert settings.output is not None
    found = read_evidence(settings.output).measurements
    assert [one.outcome for one in found] == ["measured"] * 3
    assert sorted(one.case.pass_ for one in found) == ["decode", "forward", "train"]
    assert all(one.case.model["training"]["recompute"] == "full" for one in found)
    assert result.waiting == 0


def test_the_code_of_a_model_is_that_of_all_its_parts() -> None:
    (case,) = model_cases(make_config(LLAMA, BOOK.names), BOOK, ("train",))
    assert techniques_of(case, BOOK) == ("decoder-attention", "decoder-ends", "decoder-ffn", "transformer")


def test_a_prompt_alone_is_not_run() -> None:
    (case,) = model_cases(make_config(LLAMA, BOOK.names), BOOK, ("prefill",))
    with pytest.raises(UserError, match="prefill is not run by itself"):
        model_program(case, BOOK, "cpu")
