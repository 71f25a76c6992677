"""`tfcost schema`: the schema on stdout or in a file."""

import json
from pathlib import Path
from typing import Any

Run = Any


def test_the_schema_is_written(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    assert run("schema", "--output", str(path)).exit_code == 0
    assert path.read_text(encoding="utf-8") == run("schema").stdout
    assert json.loads(path.read_text(encoding="utf-8"))["title"] == "tfcost model configuration"


def test_a_place_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    result = run("schema", "--output", str(tmp_path / "missing" / "schema.json"))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cannot write")
