"""A check's result for each of its readers: what they need is there, in their own notation, worst first."""

import json
import xml.etree.ElementTree
from pathlib import Path

import pytest

from tfcost.check.finding import Cause, CheckResult, Finding, worst_first
from tfcost.report.check import render_check
from tfcost.report.check_github import summary_markdown

CAUSE = Cause("scores", "aten.bmm", "model/mine.py:14", "scores = q @ k  # 100%, all: of it", "2·b·n·d", "2·b·n²")
DRIFT = Finding(
    "drift", "attention", "attention/peak_bytes went from Θ(n·d) to Θ(n²)", pass_="forward", quantity="peak_bytes",
    details=("if that is meant, run 'tfcost check --update'",), causes=(CAUSE,), weight=100.0,
)  # fmt: skip
MILD = Finding("contract", "attention", "attention/matmul_flops | is <more>", quantity="matmul_flops", weight=1.0)
OPEN = Finding("contract", "attention", "attention/time <= n is not shown", "warning")
FAULT = Finding("target", "other", "tfcost.yaml:7: target 'other': no", location="tfcost.yaml:7")


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckResult:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    findings = worst_first([OPEN, MILD, DRIFT])
    return _result(tmp_path, findings)


def _result(root: Path, findings: tuple[Finding, ...]) -> CheckResult:
    compared = {"contract": 3, "drift": 8}
    return CheckResult(findings, ("attention", "other"), compared, str(root), str(root / "tfcost.yaml"), ("a note",))


def test_worst_first(result: CheckResult) -> None:
    assert [finding.message for finding in result.findings] == [DRIFT.message, MILD.message, OPEN.message]
    assert worst_first([DRIFT, FAULT])[0] == FAULT


def test_exit_codes(tmp_path: Path) -> None:
    codes = {(): 0, (OPEN,): 0, (DRIFT,): 1, (DRIFT, FAULT): 2}
    assert {found: _result(tmp_path, found).exit_code for found in codes} == codes


def test_for_a_person(result: CheckResult) -> None:
    text = render_check(result, "terminal")
    assert text.startswith(
        "error: attention/peak_bytes went from Θ(n·d) to Θ(n²)\n  scores: aten.bmm  model/mine.py:14\n"
        "      scores = q @ k  # 100%, all: of it\n      2·b·n·d -> 2·b·n²\n  if that is meant"
    )
    assert "warning: attention/time <= n is not shown" in text
    assert text.endswith(
        "note: a note\ncontract: 3 lines, 1 failed, 1 not shown\ndrift: 8 formulas, 1 failed\n2 targets\n"
    )
    assert render_check(result, "terminal", ascii_only=True).isascii()


def test_for_github(result: CheckResult, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third, note, *_ = render_check(result, "github").splitlines()
    assert first.startswith("::error file=model/mine.py,line=14,title=attention/peak_bytes::attention/peak_bytes went")
    assert "%0Ascores: aten.bmm (model/mine.py:14): 2·b·n·d -> 2·b·n²%0A" in first
    assert second.startswith("::error file=tfcost.yaml,line=1,title=attention/matmul_flops::")
    assert third.startswith("::warning ")
    assert note == "::notice::a note"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(Path(result.root).parent))
    inner = f"{Path(result.root).name}/model/mine.py"
    assert f"file={inner}," in render_check(result, "github")


def test_a_summary_in_markdown(result: CheckResult) -> None:
    lines = summary_markdown(result).splitlines()
    assert lines[0] == "### tfcost check failed"
    assert "| drift | attention/peak_bytes went from Θ(n·d) to Θ(n²) | scores: `model/mine.py:14` |" in lines
    assert "| contract | attention/matmul_flops \\| is <more> | `tfcost.yaml:1` |" in lines
    assert all(line.count("|") - line.count("\\|") == 4 for line in lines if line.startswith("|"))


def test_for_a_test_report(result: CheckResult) -> None:
    root = xml.etree.ElementTree.fromstring(render_check(result, "junit"))
    suites = {suite.get("name"): suite for suite in root.iter("testsuite")}
    assert {name: (suite.get("tests"), suite.get("failures")) for name, suite in suites.items()} == {
        "contract": ("2", "1"), "drift": ("2", "1"),
    }  # fmt: skip
    failure = suites["drift"].find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == DRIFT.message
    assert "model/mine.py:14" in (failure.text or "")


def test_a_target_at_fault_is_an_error_of_every_suite(tmp_path: Path) -> None:
    root = xml.etree.ElementTree.fromstring(render_check(_result(tmp_path, (FAULT,)), "junit"))
    assert [error.get("message") for error in root.iter("error")] == [FAULT.message] * 2


def test_for_a_program(result: CheckResult) -> None:
    document = json.loads(render_check(result, "json"))
    assert (document["schema_version"], document["command"], document["exit_code"]) == (1, "check", 1)
    first = document["findings"][0]
    assert (first["target"], first["pass"], first["quantity"]) == ("attention", "forward", "peak_bytes")
    assert first["causes"][0] == {
        "step": "scores", "operation": "aten.bmm", "location": "model/mine.py:14", "code": CAUSE.code,
        "old": "2·b·n·d", "new": "2·b·n²",
    }  # fmt: skip


def test_for_code_scanning(result: CheckResult) -> None:
    document = json.loads(render_check(result, "sarif"))
    (run,) = document["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert document["version"] == "2.1.0"
    assert {entry["ruleId"] for entry in run["results"]} <= rules
    assert [entry["level"] for entry in run["results"]] == ["error", "error", "warning"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "model/mine.py"}, "region": {"startLine": 14}}
