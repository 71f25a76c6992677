"""Whatever a file holds, the loader gives a model or one line that says what is wrong."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcost.config.load import load_model
from tfcost.errors import UserError

FILES = [json.loads(file.read_text()) for file in sorted((Path(__file__).parents[3] / "configs" / "hf").glob("*.json"))]
KEYS = sorted({key for fields in FILES for key in fields})

SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 70_000) | st.integers() | st.floats(allow_nan=False)
    | st.text(max_size=6) | st.sampled_from(["gelu", "silu", "full_attention", "sliding_attention", "bfloat16"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
)
CHANGES = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), ANYTHING, max_size=4)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "config.json"


def load(path: Path) -> None:
    complaint = complaint_about(path)
    assert complaint.startswith(f"{path}:")
    assert complaint.isprintable()


def complaint_about(path: Path) -> str:
    """What is wrong with a file; where nothing is, its place."""
    try:
        load_model(path)
    except UserError as error:
        return str(error)
    return f"{path}:"


@settings(max_examples=300)
@given(st.sampled_from(FILES), CHANGES, st.sets(st.sampled_from(KEYS), max_size=3))
def test_changed_fields(path: Path, fields: dict[str, Any], changes: dict[str, Any], gone: set[str]) -> None:
    fields = {key: value for key, value in (copy.deepcopy(fields) | changes).items() if key not in gone}
    path.write_text(json.dumps(fields, indent=1), encoding="utf-8")
    load(path)


@given(st.sampled_from(FILES), st.data())
def test_files_cut_and_changed_anywhere(path: Path, fields: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(fields, indent=1)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)) | st.just(len(text)))
    path.write_text(text[:start] + data.draw(st.text(max_size=6)) + text[end:], encoding="utf-8")
    load(path)


@given(st.binary(max_size=200))
def test_any_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    load(path)
