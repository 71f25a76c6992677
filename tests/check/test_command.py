"""`tfcost check` as it is run: exit codes, what is told, what is written, and files that are missing or stale."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Check = Callable[..., Result]


def test_all_is_well(repository: Path, check: Check) -> None:
    result = check()
    assert result.exit_code == 0, result.output
    assert result.stdout == "contract: 3 lines, all hold\ndrift: 13 formulas, none changed\n1 target\n"


def _change(repository: Path, old: str, new: str, file: str = "mine.py") -> None:
    path = repository / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_regression_is_told_with_its_line(repository: Path, check: Check) -> None:
    _change(repository, "dim=-1) @ k", "dim=-1).softmax(-1) @ k")
    result = check()
    assert result.exit_code == 1
    told = {block.splitlines()[0]: block.splitlines() for block in result.stdout.split("\n\n")}
    first = told["error: attention/backward/saved_bytes changed (x2): 2·b·n² -> 4·b·n²"]
    assert first[1:4] == [
        "  other: aten._softmax  mine.py:6", "      return torch.softmax(scores, dim=-1).softmax(-1) @ k",
        "      2·b·n² -> 4·b·n²",
    ]  # fmt: skip
    assert check("--exit-zero").exit_code == 0
    assert check("--only", "contract").exit_code == 0


def test_an_update_shows_the_changed_formulas_and_only_them(repository: Path, check: Check) -> None:
    lock = repository / "tfcost.lock"
    before = lock.read_text()
    _change(repository, "dim=-1) @ k", "dim=-1).softmax(-1) @ k")
    result = check("--update")
    assert result.exit_code == 0
    assert "attention/backward/saved_bytes\n  - 2·b·n²\n  + 4·b·n²\n" in result.stdout
    assert "matmul_flops" not in result.stdout
    assert lock.read_text() != before
    assert check().exit_code == 0


def test_a_rewrite_that_costs_the_same_passes(repository: Path, check: Check) -> None:
    text = "# Lines move.\n\n\ndef attend(q, k):\n    logits = q.matmul(k.mT)\n    return logits.softmax(-1) @ k\n"
    (repository / "mine.py").write_text(text)
    result = check()
    assert (result.exit_code, "error" in result.output) == (0, False), result.output


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda lock: lock.unlink(), 2,
         "tfcost.lock: there is no lock file yet; write it with 'tfcost check --update'"),
        (lambda lock: lock.write_text("tfcost-lock 7\n"), 2, "tfcost.lock:1: lock version 7 is not 1"),
        (lambda lock: lock.write_text("tfcost-lock 1\n"), 1,
         "attention is not in the lock file; run 'tfcost check --update'"),
        (lambda lock: lock.write_text(lock.read_text() + "old/forward/peak_bytes = n\n"), 1,
         "old is in the lock file but no target of tfcost.yaml; run 'tfcost check --update'"),
        (lambda lock: lock.write_text(lock.read_text() + "old/forward/peak_bytes = exec('1')\n"), 2, "not a formula"),
    ],
)  # fmt: skip
def test_lock_files_that_are_missing_stale_or_wrong(
    repository: Path, check: Check, change: Callable[[Path], object], code: int, message: str
) -> None:
    change(repository / "tfcost.lock")
    result = check()
    assert result.exit_code == code
    assert message in str(result.exception) + result.output
    assert check("--update").exit_code == 0
    assert check().exit_code == 0


def test_versions_that_changed_are_told_with_a_drift(repository: Path, check: Check) -> None:
    lock = repository / "tfcost.lock"
    lock.write_text(lock.read_text().replace("torch=", "torch=0.").replace("saved_bytes = 2*", "saved_bytes = 3*"))
    result = check()
    assert result.exit_code == 1
    assert "note: the lock file was written with torch 0." in result.stdout


def test_an_update_of_a_target_at_fault_writes_nothing(repository: Path, check: Check) -> None:
    before = (repository / "tfcost.lock").read_bytes()
    _change(repository, "import torch", "import no_such_module")
    result = check("--update")
    assert result.exit_code == 2
    assert "nothing is written" in str(result.exception) + result.output
    assert (repository / "tfcost.lock").read_bytes() == before


def test_an_update_is_refused_while_a_kernel_fails_its_reference(repository: Path, check: Check) -> None:
    before = (repository / "tfcost.lock").read_bytes()
    (repository / "truth.py").write_text("def attend(q, k):\n    return (q @ k.mT).softmax(-1) @ k * 1.01\n")
    _change(repository, "    passes:", "    reference: truth.py:attend\n    passes:", "tfcost.yaml")
    result = check("--update")
    assert result.exit_code == 1
    assert "error: attention is off by" in result.stdout
    assert result.stdout.endswith("tfcost.lock is not written: 0 formulas changed\n")
    assert (repository / "tfcost.lock").read_bytes() == before


def test_some_targets_only(repository: Path, check: Check) -> None:
    assert check("attention").exit_code == 0
    result = check("atention")
    assert result.exit_code == 2
    assert "no target is called 'atention'; did you mean 'attention'?" in str(result.exception) + result.output
    result = check("--only", "drifts")
    assert (result.exit_code, "did you mean 'drift'" in str(result.exception) + result.output) == (2, True)


@pytest.mark.parametrize("reporter", ["github", "junit", "json", "sarif"])
def test_reports_for_others(repository: Path, check: Check, reporter: str) -> None:
    _change(repository, "saved_bytes = 2*", "saved_bytes = 3*", "tfcost.lock")
    result = check("--reporter", reporter, "--output", "report")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "saved_bytes" in (repository / "report").read_text()


def test_the_summary_of_a_github_job(repository: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = repository / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    check("--reporter", "github")
    assert summary.read_text().startswith("before\n### tfcost check passed\n")


def test_the_command_itself_needs_no_torch() -> None:
    modules = "tfcost.cli.check, tfcost.cli.measured, tfcost.check.update, tfcost.check.run, tfcost.report.check"
    code = f"import sys, {modules}; print({{'torch', 'triton'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
