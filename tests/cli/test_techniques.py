"""`tfcost techniques`: everything the book knows, in the order of the source document."""

import json
from pathlib import Path
from typing import Any

import pytest
from check.synthetic import OURS, case, counters, evidence, measurement, write

from tfcost.evidence import read

Run = Any


def test_every_technique_is_listed_with_what_can_be_asked(run: Run) -> None:
    found = json.loads(run("techniques", "--format", "json").stdout)["techniques"]
    assert [one["technique"] for one in found] == ["dense", "tiled", "flat", "narrow"]
    flat = found[2]
    assert (flat["scopes"], flat["passes"], flat["defaults"]) == (["core"], ["forward"], {"c": 64})
    assert flat["options"]["feature_map"]["values"] == ["relu", "exp"]


def test_the_table_names_options_and_values(run: Run) -> None:
    assert "feature_map: relu|exp" in " ".join(run("techniques").stdout.split())


def test_claims_show_what_was_measured_beside_what_is_derived(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the made-up techniques only `tiled` is measured; its FLOPs grow with the square of n, as is stated."""
    tiles = {n: 4 * 64 * 12 * (-(-n // 128) * 128) * (-(-n // 64) * 64) for n in (1024, 4096)}
    write(
        evidence(*(measurement(case("tiled", n=n), counters=counters(bf16_flops=flops), kernels=(OURS,))
                   for n, flops in tiles.items())),
        tmp_path / "gpu.json",
    )  # fmt: skip
    monkeypatch.setattr(read, "FOLDER", tmp_path)
    found = json.loads(run("techniques", "--claims", "--format", "json").stdout)["claims"]
    assert {one["technique"]: one["measured"]["measured_as_stated"] for one in found} == {
        "dense": None, "tiled": True, "flat": None, "narrow": None
    }  # fmt: skip
    rows = run("techniques", "--claims", "--format", "md").stdout
    assert "as stated: FLOPs in n: slope 2.00 (derived 2.00), power 2 (stated 1 to 2)" in rows
    assert rows.count("not measured") == 3
