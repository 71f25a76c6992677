"""`measure` as a whole on a machine that pretends: what is recorded, what a crash costs, resuming, and refusals."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from measure.cpu_child import BREAKS, KILLED, TOO_LARGE, WRONG
from typer.testing import CliRunner

from tfcost.analysis.machines import load_machine
from tfcost.book import load_book
from tfcost.cli.app import app
from tfcost.errors import CannotMeasure
from tfcost.evidence.read import read_evidence
from tfcost.evidence.record import Case, Ceilings
from tfcost.evidence.write import evidence_text
from tfcost.measure.booked import predicted_launches
from tfcost.measure.command import Settings, file_name, measure, shared_out
from tfcost.measure.counters import METRICS
from tfcost.measure.job import chunks
from tfcost.measure.plan import Selection, make_plan

BOOK = load_book()
Cases = Callable[[Sequence[int]], list[Case]]


def test_everything_is_recorded(machine: Path, settings: Settings, make_cases: Cases) -> None:
    result = measure(make_cases([64, 128]), BOOK, settings)
    assert settings.output is not None
    evidence = read_evidence(settings.output)
    assert evidence_text(evidence) == settings.output.read_text()
    assert len(result.measurements) == 2
    assert result.waiting == 0
    (environment,) = evidence.environments
    assert (environment.gpu, environment.driver, environment.sm_clock_max_mhz) == ("Test GPU 1", "580.1", 1980)
    for one in evidence.measurements:
        assert one.outcome == "measured"
        assert one.memory is not None
        assert one.memory.peak_bytes == 1000
        assert one.memory.requested_peak_bytes == 900
        assert one.timing is not None
        assert one.timing.median == 0.002
        assert (one.temperature, one.throttle) == (40, "thermal slowdown (software)")
        assert one.counters is not None
        assert [getattr(one.counters, name) for name in METRICS] == [10 * place for place in range(len(METRICS))]
        (kernel,) = one.kernels
        assert (kernel.name, kernel.launches, kernel.registers, kernel.sram_bytes) == ("some_kernel", 1, 40, 1040)
        assert len(one.source_hash) == 64


def test_what_goes_wrong_costs_its_own_case_alone(machine: Path, settings: Settings, make_cases: Cases) -> None:
    lengths = [1, KILLED, 2, WRONG, TOO_LARGE, BREAKS, 3]
    result = measure(make_cases(lengths), BOOK, settings)
    found = {one.case.sizes["n"]: (one.outcome, one.reason) for one in result.measurements}
    assert {n: found[n] for n in (1, 2, 3)} == dict.fromkeys((1, 2, 3), ("measured", ""))
    assert found[KILLED] == ("failed", "the process was ended by SIGKILL")
    assert found[WRONG] == ("failed", "ValueError: wrong shape")
    assert found[TOO_LARGE] == ("out of memory", "tried to allocate 1 TiB")
    assert found[BREAKS] == ("failed", "RuntimeError: CUDA error: an illegal memory access was encountered")
    assert all(one.counters for one in result.measurements if one.outcome == "measured")


def test_the_same_command_goes_on(machine: Path, settings: Settings, make_cases: Cases) -> None:
    first = measure(make_cases([1, 2]), BOOK, settings)
    again = measure(make_cases([1, 2, 3]), BOOK, settings)
    assert [one.date for one in again.measurements[:2]] == [one.date for one in first.measurements]
    assert len(again.measurements) == 3


def test_a_limit_leaves_the_rest(machine: Path, settings: Settings, make_cases: Cases) -> None:
    result = measure(make_cases([1, 2]), BOOK, replace(settings, limit=0.0))
    assert (result.measurements, result.waiting) == ((), 2)


def test_memory_and_time_without_counters(
    machine: Path, settings: Settings, make_cases: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "ncu").unlink()
    (one,) = measure(make_cases([5]), BOOK, replace(settings, counters=False)).measurements
    assert one.counters is None
    assert one.memory
    assert one.timing


def test_what_cannot_fit_is_predicted(machine: Path, settings: Settings, make_cases: Cases) -> None:
    (case,) = make_cases([1 << 32])
    (one,) = measure([case], BOOK, replace(settings, counters=False)).measurements
    assert one.outcome == "out of memory"
    assert one.reason.startswith("predicted, not run")


REFUSALS: list[tuple[dict[str, Any] | None, str]] = [
    (None, "no GPU"),
    ({"compute_cap": "7.5"}, "has compute capability 7.5; the kernels need 8.0"),
    ({"mig.mode.current": "Enabled"}, "split by MIG"),
    ({"processes": [4711]}, "is busy: process 4711"),
    ({"memory.used": "40000"}, "is busy: somebody uses 39.1 GiB"),
]


@pytest.mark.parametrize(("found", "message"), REFUSALS, ids=[message for _, message in REFUSALS])
def test_refusals(
    found: dict[str, Any] | None, message: str, machine: Path, settings: Settings, make_cases: Cases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TEST_SMI", json.dumps(found))
    with pytest.raises(CannotMeasure, match=message):
        measure(make_cases([1]), BOOK, settings)


COUNTERS = [
    ({"TEST_NCU": "forbidden"}, "NVreg_RestrictProfilingToAdminUsers=0"),
    ({"TEST_SELF_TEST": f"17179869183 {64 << 20}"}, "reads 17179869183 FLOPs, not 17179869184"),
    ({"TEST_SELF_TEST": "17179869184 33554432"}, "a copy of 67108864 bytes reads 33554432 bytes read"),
]


@pytest.mark.parametrize(("environment", "message"), COUNTERS, ids=[message for _, message in COUNTERS])
def test_counters_that_cannot_be_believed(
    environment: dict[str, str], message: str, machine: Path, settings: Settings, make_cases: Cases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CannotMeasure, match=message):
        measure(make_cases([1]), BOOK, settings)
    assert settings.output is not None
    assert not settings.output.exists()


def test_no_ncu(machine: Path, settings: Settings, make_cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "ncu").unlink()
    monkeypatch.setenv("PATH", str(machine))
    with pytest.raises(CannotMeasure, match="'ncu' is not on the path"):
        measure(make_cases([1]), BOOK, settings)


def test_names_of_files() -> None:
    assert file_name("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"


def test_kernels_are_compiled_in_several_processes_first(
    machine: Path, settings: Settings, make_cases: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    told: list[str] = []
    monkeypatch.setattr("tfcost.measure.progress.Progress.say", lambda self, line: told.append(line))
    cases = [*make_cases([64, 65])]
    result = measure(cases, BOOK, replace(settings, counters=False))
    assert told == ["compiling the kernels of 2 cases in 2 processes"]
    assert [one.outcome for one in result.measurements] == ["measured"] * 2


def test_shares_keep_together_what_compiles_alike() -> None:
    cases = dict(enumerate(make_plan(BOOK, Selection()).cases))
    shares = shared_out(cases, 14)
    assert sorted(place for share in shares for place in share) == sorted(cases)
    where = {place: number for number, share in enumerate(shares) for place in share}
    assert all(shares)
    by_kernel: dict[object, set[int]] = {}
    for place, case in cases.items():
        if case.technique == "flash" and case.scope == "core":
            kind = (case.sizes["d_h"], case.dtype, str(case.variant), case.sizes["n"] % 16 == 0)
            by_kernel.setdefault(kind, set()).add(where[place])
    assert all(len(numbers) == 1 for numbers in by_kernel.values())


def test_groups_weigh_about_the_same() -> None:
    weights = dict(enumerate([1, 2, 3, 200, 100, 40, 20]))
    assert list(chunks(list(weights), weights, 150)) == [[0, 1, 2], [3], [4, 5], [6]]
    assert list(chunks([], weights, 150)) == []


def test_what_launches_few_kernels_is_counted_first() -> None:
    few, many = (case for case in make_plan(BOOK, Selection()).cases
                 if case.sizes.get("n") == 1024 and case.technique in ("flash", "recompute")
                 and case.scope in ("layer", "stack") and case.pass_ in ("forward", "train")
                 and case.variant.get("policy", "none") == "none")  # fmt: skip
    assert 0 < predicted_launches(few, BOOK, 0) < predicted_launches(many, BOOK, 0)


def test_the_ceilings_alone(machine: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfcost.measure.command.Settings", partial(Settings, child=settings.child))
    result = CliRunner().invoke(app, ["measure", "--ceilings", "--output", str(settings.output)])
    assert (result.exit_code, result.stdout) == (0, f"ceilings measured; written to {settings.output}\n")
    assert settings.output is not None
    found = read_evidence(settings.output)
    assert (found.measurements, found.ceilings) == ((), (Ceilings({"bfloat16": 7e14}, 6e13, 3e12, 4e-6),))
    assert load_machine(str(settings.output)).matmul_peak("bfloat16") == 7e14


@pytest.mark.parametrize("other", [["flash"], ["--n", "1k"], ["--list"], ["--dtype", "fp16"], ["--config", "x.yaml"]])
def test_the_ceilings_and_nothing_else(other: list[str]) -> None:
    result = CliRunner().invoke(app, ["measure", "--ceilings", *other])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--ceilings measures those alone" in result.stderr
