"""`--device`: a name of the table, a file, or ceilings that were measured, those of the latest run that took them."""

from dataclasses import replace
from pathlib import Path

import pytest
from check.synthetic import CEILINGS, ENVIRONMENT, write

from tfcost.analysis.devices import load_device
from tfcost.analysis.machines import load_machine
from tfcost.errors import UserError
from tfcost.evidence.record import Evidence


def test_a_name_of_the_table() -> None:
    assert load_machine("h100-sxm") == load_device("h100-sxm")


def test_the_committed_evidence_by_its_name() -> None:
    machine = load_machine("nvidia-h100-80gb-hbm3")
    table = load_device("h100-sxm")
    assert 0.5 < machine.matmul_peak("bfloat16") / table.matmul_peak("bfloat16") < 1
    assert 0.5 < machine.bandwidth.value / table.bandwidth.value < 1
    assert machine.memory_bytes.value == 85017493504
    assert machine.label.startswith("NVIDIA H100 80GB HBM3, as measured on 2026-")


def test_the_latest_run_with_ceilings(tmp_path: Path) -> None:
    runs = tuple(replace(ENVIRONMENT, date=f"2026-0{month}-01T00:00:00") for month in (3, 4, 2))
    slower = replace(CEILINGS, bandwidth=1e12)
    path = write(Evidence(runs, (slower, None, CEILINGS), ()), tmp_path / "mine.json")
    assert load_machine(str(path)).bandwidth.value == 1e12


def test_errors(tmp_path: Path) -> None:
    path = write(Evidence((ENVIRONMENT,), (None,), ()), tmp_path / "mine.json")
    with pytest.raises(UserError, match=r"mine\.json: no ceilings were measured; 'tfcost measure --ceilings"):
        load_machine(str(path))
    with pytest.raises(UserError, match="no ceiling was measured for float64, only for bfloat16, float16, float32"):
        load_machine("nvidia-h100-80gb-hbm3").matmul_peak("float64")
    with pytest.raises(UserError, match=r"unknown device 'h100'; there are h100-pcie, h100-sxm$"):
        load_machine("h100")
    with pytest.raises(UserError, match="unknown device 'rtx-4080'; did you mean 'rtx-4090'"):
        load_machine("rtx-4080")
    with pytest.raises(UserError, match="nothing-here"):
        load_machine(str(tmp_path / "nothing-here.json"))
