"""Evidence files: what is written is read back; whatever is wrong with a file is told with file and place."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from check.synthetic import case, counters, evidence, measurement, write
from pydantic import TypeAdapter

from tfcost.errors import UserError
from tfcost.evidence import read
from tfcost.evidence.read import read_evidence
from tfcost.evidence.record import Evidence, Memory, Timing

FOUND = evidence(
    measurement(case(n=64), counters=counters(bf16_flops=7), timing=Timing(2.0, 1.0, 3.0, 5)),
    measurement(case(n=128, variant={"causal": True, "shared": 0, "cache": "full"}), memory=Memory(1024, 1000, 2)),
    measurement(case(n=2**40), outcome="out of memory", reason="8 TiB"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(FOUND, tmp_path / "h100.json")


def changed(path: Path, value: Any, *keys: str | int) -> Path:
    """The file with `value` in the place of `keys`."""
    document = json.loads(path.read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(document))
    return path


def message(path: Path) -> str:
    with pytest.raises(UserError) as error:
        read_evidence(path)
    found = str(error.value)
    assert found.startswith(f"{path}: ")
    assert "\n" not in found
    return found.removeprefix(f"{path}: ")


def test_what_is_written_is_read(path: Path) -> None:
    as_json = partial(TypeAdapter(Evidence).dump_python, mode="json")
    assert as_json(read_evidence(path)) == as_json(FOUND)


def test_options_keep_their_kinds(path: Path) -> None:
    variant = read_evidence(path).measurements[1].case.variant
    assert {name: type(value) for name, value in variant.items()} == {"causal": bool, "shared": int, "cache": str}


@pytest.mark.parametrize(
    ("value", "keys", "told"),
    [
        (2, ("schema_version",), "schema_version 2 is not 1"),
        (True, ("schema_version",), "schema_version True is not 1"),
        ("1", ("schema_version",), "schema_version '1' is not 1"),
        ("many", ("measurements", 0, "counters", "bf16_flops"), "measurements[0].counters.bf16_flops: "),
        (1.5, ("measurements", 0, "counters", "bf16_flops"), "measurements[0].counters.bf16_flops: "),
        (-1, ("measurements", 0, "counters", "fp32_add"), "measurements[0].counters.fp32_add: a count cannot be"),
        (-1, ("measurements", 1, "memory", "blocks"), "measurements[1].memory.blocks: a count cannot be"),
        (None, ("measurements", 0, "case"), "measurements[0].case: "),
        ("guessed", ("measurements", 0, "outcome"), "measurements[0].outcome: "),
        (-4, ("measurements", 0, "case", "sizes", "n"), "measurements[0].case.sizes.n: -4 is not a size"),
        (1, ("measurements", 0, "environment"), "measurements[0].environment: 1 is none of the 1"),
        (0.0, ("measurements", 0, "timing", "low"), "measurements[0].timing: expected 0 < low"),
        (9.0, ("measurements", 0, "timing", "median"), "measurements[0].timing: expected 0 < low"),
        (0.0, ("ceilings", 0, "bandwidth"), "ceilings[0]: a ceiling is a positive number"),
        ([], ("ceilings",), "1 environments, but ceilings of 0"),
        ([], ("environments",), "0 environments, but ceilings of 1"),
        ({"n": 64, "b": 1, "h": 12, "d_h": 64}, ("measurements", 2, "case", "sizes"), "measurements[2]: the same case"),
        ([1], ("measurements",), "measurements[0]: "),
        ("x" * 10**6, ("measurements",), "measurements: "),
    ],
)
def test_wrong_values_are_named(path: Path, value: Any, keys: tuple[str | int, ...], told: str) -> None:
    found = message(changed(path, value, *keys))
    assert told in found
    assert len(found) < 300


def test_a_missing_key_is_named(path: Path) -> None:
    document = json.loads(path.read_text())
    del document["environments"][0]["l2_bytes"]
    path.write_text(json.dumps(document))
    assert message(path) == "'environments[0].l2_bytes' is missing"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "3", '{"cells": []}', "\x00\x01", "{" * 10**5, "[" * 10**5])
def test_what_is_not_evidence_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    assert message(path).startswith("not ")


def test_a_file_cut_off_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        assert message(path).startswith("not JSON")


def test_times_without_a_number_are_refused(path: Path) -> None:
    path.write_text(path.read_text().replace('"high":3.0', '"high":NaN'))
    assert message(path).startswith("not JSON")


def test_a_huge_file_is_not_read_to_its_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_BYTES", 100)
    assert message(path).startswith("larger than")


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    assert message(tmp_path) == "Is a directory"
    assert message(tmp_path / "none.json") == "No such file or directory"


def test_an_empty_run_is_evidence(tmp_path: Path) -> None:
    nothing = Evidence((), (), ())
    assert read_evidence(write(nothing, tmp_path / "empty.json")) == nothing
