"""Every JSON result fits the committed schema, and the schema is strict enough to notice a change."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tfcost.report
from tfcost.quantities import QUANTITIES

Run = Any
SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "result.schema.json").read_text(encoding="utf-8"))

COMMANDS = [
    ("compare", "dense", "tiled", "--n", "10000"),
    ("compare", "tiled", "flat", "--causal", "--n", "1000", "--option", "feature_map=exp"),
    ("compare", "dense", "flat", "--n", str(10**30)),
    ("explain", "dense"),
    ("explain", "tiled", "--n", "513"),
]


def test_the_schema_itself_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_the_quantities() -> None:
    assert set(SCHEMA["$defs"]["quantities"]["propertyNames"]["enum"]) == set(QUANTITIES)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_results_fit_the_schema(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command, "--format", "json", "-q")
    assert result.exit_code == 0, result.stderr
    jsonschema.validate(json.loads(result.stdout), SCHEMA)


def test_a_changed_document_does_not_fit(run: Run) -> None:
    document = json.loads(run("explain", "dense", "--format", "json").stdout)
    for path in (["schema_version"], ["results", 0, "scope"], ["results", 0, "quantities", "matmul_flops", "value"]):
        changed = copy.deepcopy(document)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[f"{path[-1]}_renamed"] = place.pop(path[-1])
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed, SCHEMA)
