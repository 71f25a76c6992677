"""The JSON Schema for editors: committed, current, and of one mind with the loader."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tfcost.config.schema import schema_text

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads(schema_text())


def test_the_committed_schema_is_current() -> None:
    assert (CONFIGS / "schema.json").read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_committed_configurations_fit_it(schema: Any, file: Path) -> None:
    jsonschema.validate(yaml.safe_load(file.read_text()), schema)


@pytest.mark.parametrize("change", [{"n": 0}, {"n": "many"}, {"heads": 3}, {"ffn": "gelo"}, {"causal": 3}, {"L": None}])
def test_mistakes_do_not_fit_it(schema: Any, change: dict[str, Any]) -> None:
    model = {"name": "x", "n": "16k", "d": 64, "h": 4, "L": 2}
    jsonschema.validate(model, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(model | change, schema)
