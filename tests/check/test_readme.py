"""What the README and the files for CI say is what works: the set-up is run as printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tfcost.check.config import load_check
from tfcost.check.contract import parse_contract

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().split("## In CI")[1].split("\n## ")[0]
COMMAND = f"#!{sys.executable}\nfrom tfcost.cli.app import main\nmain()\n"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder, and in its `bin` the command."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tfcost").write_text(COMMAND)
    (tmp_path / "bin" / "tfcost").chmod(0o755)
    return tmp_path


def _shell(script: str, place: Path) -> "subprocess.CompletedProcess[str]":
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    search = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PATH": path, "PYTHONPATH": search}
    environment.pop("TRITON_INTERPRET", None)
    return subprocess.run(
        ["bash", "-ec", script], cwd=place, env=environment, capture_output=True, text=True, check=False
    )


def test_the_set_up_as_printed(scratch: Path) -> None:
    script = SECTION.split("```\n")[1]
    assert len(script.splitlines()) <= 10
    done = _shell(script, scratch)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("contract: 2 lines, all hold\ndrift: 6 formulas, none changed\n1 target\n")
    # Two n×n tensors beside Q, K, V; or one, and the result.
    peak = "attention/forward/peak_bytes = Max(6*b*d_h*h*n + 4*b*h*n**2, 8*b*d_h*h*n + 2*b*h*n**2)\n"
    assert peak in (scratch / "tfcost.lock").read_text()


def test_the_contract_lines_of_the_table_can_be_read() -> None:
    table = [line for line in SECTION.splitlines() if line.startswith("| `")]
    lines = [line for row in table for line in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(lines) >= 6
    for line in lines:
        parse_contract(line)


def test_the_command_that_the_action_and_the_hook_run(scratch: Path) -> None:
    action = yaml.safe_load((ROOT / ".github" / "actions" / "check" / "action.yml").read_text())
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"].split()[:2] == ["tfcost", "check"]
    script = action["runs"]["steps"][-1]["run"].replace('"$PYTHON" -m pip install', "true")
    assert "${{" not in script
    (scratch / "tfcost.yaml").write_text("targets: {}\n")
    done = _shell(f"export PYTHON={sys.executable} CONFIG=tfcost.yaml ARGUMENTS='--only contract'\n{script}", scratch)
    assert (done.returncode, done.stderr) == (2, "error: tfcost.yaml:1: no target is given\n")


def test_tfcost_is_its_own_first_user() -> None:
    config, _ = load_check(ROOT / ".tfcost.yaml")
    techniques = {path.stem for path in (ROOT / "tfcost" / "book").glob("*.json")}
    assert {target.technique for target in config.targets.values()} == techniques
    assert "tfcost check" in (ROOT / ".ci" / "run").read_text()
    locked = (ROOT / ".tfcost.lock").read_text()
    assert all(f"\n{name}/" in locked for name in config.targets)
