"""`tfcost techniques`: everything the book knows, in the order of the source document."""

import json
from typing import Any

Run = Any


def test_every_technique_is_listed_with_what_can_be_asked(run: Run) -> None:
    found = json.loads(run("techniques", "--format", "json").stdout)["techniques"]
    assert [one["technique"] for one in found] == ["dense", "tiled", "flat", "narrow"]
    flat = found[2]
    assert (flat["scopes"], flat["passes"], flat["defaults"]) == (["core"], ["forward"], {"c": 64})
    assert flat["options"]["feature_map"]["values"] == ["relu", "exp"]


def test_the_table_names_options_and_values(run: Run) -> None:
    assert "feature_map: relu|exp" in " ".join(run("techniques").stdout.split())
