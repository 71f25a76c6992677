"""recorded.json is what transformers says: every module is built on the meta device and counted again."""

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="the extra 'models' (transformers) is not installed")

from models.oracle import version
from models.record import CONFIGS, HERE, recorded

RECORDED = json.loads((HERE / "recorded.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.json")), ids=lambda file: file.stem)
def test_what_is_recorded_is_what_transformers_counts(file: Path) -> None:
    assert recorded(file) == RECORDED["models"][file.stem]


def test_it_was_recorded_with_a_version_as_new_as_this_one() -> None:
    assert version().split(".")[:2] == RECORDED["transformers"].split(".")[:2]
