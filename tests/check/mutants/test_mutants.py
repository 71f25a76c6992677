"""Every seeded regression is caught and told by the step it is in; no harmless change raises an alarm.

A few of each run with the other tests; all of them with `pytest -m "slow or not slow" tests/check/mutants`.
"""

from collections.abc import Iterator

import pytest
from check.mutants.bench import Bench
from check.mutants.harmless import HARMLESS, Harmless
from check.mutants.mutants import MUTANTS, Mutant

from tfcost.check.deriver import Deriver
from tfcost.report.check import render_check

FEW_MUTANTS = {"second softmax", "causal bound dropped", "wrong tile", "flash falls back to math"}
FEW_HARMLESS = {"names and a step renamed", "dQ before dK and dV"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Deriver(None, 1) as deriver:
        yield Bench(tmp_path_factory.mktemp("bench"), deriver)


def _few(changes: tuple[Mutant, ...] | tuple[Harmless, ...], few: set[str]) -> list[object]:
    return [
        pytest.param(one, id=f"{one.subject}: {one.name}", marks=() if one.name in few else pytest.mark.slow)
        for one in changes
    ]


def test_there_are_as_many_as_promised() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
    assert len({harmless.name for harmless in HARMLESS}) == len(HARMLESS) >= 25
    assert {mutant.name for mutant in MUTANTS} >= FEW_MUTANTS
    assert {harmless.name for harmless in HARMLESS} >= FEW_HARMLESS


@pytest.mark.parametrize("mutant", _few(MUTANTS, FEW_MUTANTS))
def test_a_regression_is_caught_and_its_step_named(bench: Bench, mutant: Mutant) -> None:
    result = bench.checked(mutant.subject, mutant.name, mutant.file, mutant.patches)
    assert result.exit_code == 1, result.findings
    worst = result.findings[0]
    assert mutant.named in "\n".join(f"{cause.step} {cause.operation}" for cause in worst.causes[:3])
    first_lines = render_check(result, "terminal").split("\n\n")[0]
    assert mutant.named in first_lines


@pytest.mark.parametrize("harmless", _few(HARMLESS, FEW_HARMLESS))
def test_a_harmless_change_raises_no_alarm(bench: Bench, harmless: Harmless) -> None:
    patches = ((harmless.old, harmless.new),)
    result = bench.checked(harmless.subject, harmless.name, harmless.file, patches, everywhere=True)
    assert result.findings == ()
