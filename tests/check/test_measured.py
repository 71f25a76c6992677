"""Targets that are techniques, against evidence: agreement is counted, a wrong formula told; and `--measure`, with a
GPU that is made up.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from check.synthetic import CEILINGS, ENVIRONMENT, counters, measurement
from typer.testing import Result

from tfcost.book import load_book
from tfcost.check.accuracy import accuracy
from tfcost.check.config import TargetConfig
from tfcost.check.derived import derived_for
from tfcost.cli import measured as command
from tfcost.cost import Quantity
from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Case, Evidence, Memory, Timing
from tfcost.evidence.write import write_evidence
from tfcost.formula import Formula

CONFIG = TargetConfig(technique="standard")
CASE = Case("standard", "core", "forward", "bfloat16", {"causal": False}, {"b": 1, "h": 4, "d_h": 64, "n": 1024})
# By hand: two products of n×n×d, FMA = 2.
FLOPS = 4 * 4 * 1024**2 * 64


@pytest.fixture
def no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfcost.check.accuracy.load_evidence", lambda path, required: ())


def _evidence(flops: int) -> Evidence:
    found = measurement(CASE, counters=counters(bf16_flops=flops))
    return Evidence((ENVIRONMENT,), (CEILINGS,), (found,))


@pytest.mark.usefixtures("no_evidence")
def test_formulas_that_agree_and_formulas_that_do_not() -> None:
    record = load_book().record("standard")
    agreed = accuracy("mine", CONFIG, record, {}, [_evidence(FLOPS)])
    assert (agreed.cells > 0, agreed.findings) == (True, ())
    (finding,) = accuracy("mine", CONFIG, record, {}, [_evidence(2 * FLOPS)]).findings
    assert finding.message.startswith(
        f"mine/matmul_flops was measured as {2 * FLOPS:,}, derived as {FLOPS:,} (+100.0%)"
    )


@pytest.mark.usefixtures("no_evidence")
def test_the_target_is_judged_by_what_its_code_costs_now_not_by_the_book() -> None:
    record = load_book().record("standard")
    doubled = [
        replace(cost, quantities={**cost.quantities, "matmul_flops": Quantity(Formula("8*b*d_h*h*m*n"), "traced")})
        for cost in record.costs
        if (cost.scope, cost.pass_, cost.variant) == ("core", "forward", {"causal": False})
    ]
    changed = replace(record, costs=tuple(doubled))
    assert len(accuracy("mine", CONFIG, changed, {}, [_evidence(FLOPS)]).findings) == 1
    assert accuracy("mine", CONFIG, changed, {}, [_evidence(2 * FLOPS)]).findings == ()


@pytest.mark.usefixtures("no_evidence")
def test_functions_of_the_users_and_other_variants_have_no_evidence() -> None:
    record = load_book().record("standard")
    function = TargetConfig(function="mine.py:f")
    assert accuracy("mine", function, record, {}, [_evidence(1)]).cells == 0
    other = replace(record, costs=tuple(cost for cost in record.costs if cost.scope == "layer"))
    assert accuracy("mine", CONFIG, other, {}, [_evidence(1)]).cells == 0


class _Gpu:
    """Measures what the book says, `slow` times as slow; `calls` keeps what was run."""

    def __init__(self, name: str = ENVIRONMENT.gpu, slow: float = 1.0) -> None:
        self.environment, self.slow = replace(ENVIRONMENT, gpu=name), slow
        self.calls: list[int] = []

    def __call__(self, cases: Sequence[Case], path: Path) -> None:
        book = load_book()
        self.calls.append(len(cases))
        found = [
            measurement(
                case,
                timing=Timing(1e-4 * self.slow, 0.99e-4 * self.slow, 1.01e-4 * self.slow, 50),
                memory=Memory(derived_for(case, book).value("peak_bytes") or 0, 0, 4),
            )
            for case in cases
        ]
        write_evidence(Evidence((self.environment,), (None,), tuple(found)), path)


@pytest.fixture
def standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tfcost.yaml").write_text("targets:\n  attention:\n    technique: standard\n    sizes: {n: 1k}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_baseline_and_what_is_slower_than_it(
    standard: Path, check: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_on_gpu", _Gpu())
    result = check("--update", "--measure")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].startswith("tfcost.baseline.json: ")
    assert check("--measure", "--only", "drift").exit_code == 0
    slower = _Gpu(slow=1.5)
    monkeypatch.setattr(command, "_on_gpu", slower)
    result = check("--measure", "--only", "drift")
    assert result.exit_code == 1
    assert "error: attention/time measured (x1.5): 100.0 µs -> 150.0 µs" in result.stdout
    assert slower.calls == [slower.calls[0]] * 3
    monkeypatch.setattr(command, "_on_gpu", _Gpu("NVIDIA L4"))
    result = check("--measure")
    assert result.exit_code == 3
    assert isinstance(result.exception, CannotMeasure) or "this GPU is NVIDIA L4" in result.output
