"""Targets that misbehave: each fails by itself, with its own message, and leaves the others what they are."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tfcost.check.deriver import Deriver
from tfcost.check.run import Target, derive_with, run_check

BEHAVIOUR = {
    "fine": "def f(x):\n    return torch.relu(x)\n",
    "also_fine": "def f(x):\n    return torch.relu(x)\n",
    "prints": "print('{\"stem\": 1}')\ndef f(x):\n    print('noise' * 99999)\n    return torch.relu(x)\n",
    "no_import": "import no_such_module\n",
    "syntax": "def f(x:\n",
    "hangs": "import time\ntime.sleep(600)\n",
    "hangs_in_code": "def f(x):\n    while True:\n        pass\n",
    "wants_gpu": "y = torch.zeros(3, device='cuda')\ndef f(x):\n    return x + y\n",
    "exits": "import os\nprint('bye')\nos._exit(3)\n",
    "crashes": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "spawns": "import subprocess, time\nsubprocess.Popen(['sleep', '600'])\ntime.sleep(600)\n",
    "changes_torch": (
        "torch.relu = lambda x: x + x\ntorch.set_default_dtype(torch.float64)\ndef f(x):\n    return torch.relu(x)\n"
    ),
    "raises": "def f(x):\n    return x @ x.nothing\n",
    "no_tensor": "def f(x):\n    return 3\n",
    "no_function": "g = 1\n",
    "edits_a_builtin": "import builtins\nbuiltins.len = None\ndel builtins.print\ndef f(x):\n    return x * 2\n",
}
IMPATIENT = {"hangs", "hangs_in_code", "spawns"}


def _write(folder: Path, behaviour: Mapping[str, str]) -> Path:
    lines = ["time_limit: 60", "targets:"]
    for name, code in behaviour.items():
        (folder / f"{name}.py").write_text(f"import torch\n{code}")
        lines += [f"  {name}:", f"    function: {name}.py:f", "    dims: [n]", '    shapes: {x: "n"}']
        lines += ["    time_limit: 1"] if name in IMPATIENT else []
    path = folder / "tfcost.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    path = _write(tmp_path_factory.mktemp("targets"), BEHAVIOUR)
    with Deriver(None, processes=4) as deriver:
        targets = derive_with(deriver, path).targets
    return {target.name: target for target in targets}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_import", "no_import.py:2: importing it failed: ModuleNotFoundError: No module named 'no_such_module'"),
        ("syntax", "syntax.py:2: importing it failed: SyntaxError: "),
        ("hangs", "not derived within its time limit of 1 s"),
        ("hangs_in_code", "not derived within its time limit of 1 s"),
        ("spawns", "not derived within its time limit of 1 s"),
        ("wants_gpu", "wants_gpu.py:2: importing it failed: "),
        ("exits", "its process ended without a result (exit code 3); the last it printed: bye"),
        ("crashes", "its process ended without a result (SIGSEGV)"),
        ("raises", "raises.py:3: AttributeError: "),
        ("no_tensor", "the function returned no tensor"),
        ("no_function", "no_function.py: no function 'f'"),
    ],
)
def test_a_target_at_fault_says_why(derived: dict[str, Target], name: str, message: str) -> None:
    assert derived[name].outcome.error.startswith(message)


def test_a_gpu_that_is_asked_for_too_early_comes_with_advice(derived: dict[str, Target]) -> None:
    assert derived["wants_gpu"].outcome.error.endswith("ask for one when the code runs, not when it is imported")


def test_the_others_are_derived_as_if_they_were_alone(derived: dict[str, Target]) -> None:
    lines = {name: {line[1:]: formula for line, formula in target.lines.items()} for name, target in derived.items()}
    assert lines["fine"]
    assert lines["fine"] == lines["also_fine"] == lines["prints"]
    assert lines["changes_torch"] != lines["fine"]
    assert derived["edits_a_builtin"].outcome.error.startswith("its process ended without a result (exit code 1)")


def test_a_target_at_fault_is_a_finding_at_its_line(tmp_path: Path) -> None:
    path = _write(tmp_path, {name: BEHAVIOUR[name] for name in ("fine", "no_import")})
    with Deriver(None) as deriver:
        result = run_check(derive_with(deriver, path), ("contract",))
    (finding,) = result.findings
    assert finding.message.startswith(f"{path}:7: target 'no_import': no_import.py:2: importing it failed")
    assert result.exit_code == 2


def test_results_are_kept_until_a_source_changes(tmp_path: Path) -> None:
    path = _write(tmp_path, {"fine": "from beside import scale\ndef f(x):\n    return x * scale\n"})
    (tmp_path / "beside.py").write_text("scale = 2\n")
    folder = tmp_path / ".tfcost_cache"

    def derive() -> tuple[bool, str]:
        with Deriver(folder) as deriver:
            (target,) = derive_with(deriver, path).targets
        return target.outcome.kept, target.outcome.error

    assert derive() == (False, "")
    assert derive() == (True, "")
    assert (folder / ".gitignore").read_text() == "*\n"
    kept = next(folder.glob("fine-*.json"))
    kept.write_text(kept.read_text().replace('"exact"', '"inexact"', 1))
    assert derive() == (False, "")
    (tmp_path / "beside.py").write_text("scale = 3\n")
    assert derive() == (False, "")


def test_a_folder_that_cannot_be_written_to_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, **_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refused)
    with Deriver(tmp_path / ".tfcost_cache") as deriver:
        assert deriver.folder is None
        assert deriver.warning.endswith(".tfcost_cache: Read-only file system")
