"""`tfcost verify` on evidence made from recorded counters: what it shows, its exit codes, its documents."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from check.synthetic import case, evidence, flash_measurements, measurement, write

import tfcost.report
from tfcost.book import load_book
from tfcost.evidence import read
from tfcost.evidence.record import Measurement, Memory, Timing

Run = Any
SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "verify.schema.json").read_text(encoding="utf-8"))
FLASH = [one for one in flash_measurements(load_book()) if one.case.pass_ == "forward"]
GIVEN = 4 * 2 * 12 * 1000 * 64
LOADED = """\
import sys
from tfcost.cli.app import main
try:
    main()
except SystemExit as end:
    sys.exit(end.code or [name for name in ("torch", "triton", "sympy", "matplotlib") if name in sys.modules] or 0)
"""
LARGER = replace(FLASH[1], memory=Memory(GIVEN + 2**23, GIVEN + 2**23, 4))


@pytest.fixture
def file(tmp_path: Path) -> Any:
    return lambda *measurements: str(write(evidence(*measurements), tmp_path / "h100.json"))


def test_all_is_well(real: Run, file: Any) -> None:
    result = real("verify", file(*FLASH))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "h100.json: NVIDIA H100 80GB HBM3, driver 580.1" in result.stdout
    assert "17 of 17" in result.stdout
    assert "Outside their tolerance" not in result.stdout


def test_a_cell_outside_its_tolerance_comes_first(real: Run, file: Any) -> None:
    worse = replace(FLASH[0], memory=Memory(2**31, 2**31, 4))
    result = real("verify", file(worse, LARGER, *FLASH[2:]))
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert text.index("Outside their tolerance: 2 cells") < text.index("By quantity")
    assert text.index("n=513") < text.index("n=1000") < text.index("By quantity")


def test_the_document_fits_its_schema(real: Run, file: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    path = file(*FLASH, measurement(case(n=10**7), outcome="out of memory", reason="8 TiB"))
    document = json.loads(real("verify", path, "--format", "json").stdout)
    jsonschema.validate(document, SCHEMA)
    assert [one["outcome"] for one in document["without_cells"]] == ["out of memory"]
    flops = [cell for cell in document["cells"] if cell["quantity"] == "matmul_flops"]
    assert {(cell["difference"], cell["within"]) for cell in flops} == {(0, True)}
    assert flops[0]["measured"] == FLASH[0].counters.bf16_flops  # type: ignore[union-attr]
    (summary,) = [one for one in document["summary"] if one["quantity"] == "matmul_flops"]
    assert (summary["technique"], summary["cells"], summary["equal"], summary["within"]) == ("flash", 17, 17, 17)


def test_a_changed_document_does_not_fit(real: Run, file: Any) -> None:
    document = json.loads(real("verify", file(*FLASH), "--format", "json").stdout)
    document["cells"][0]["inside"] = document["cells"][0].pop("within")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_csv_has_a_line_per_cell(real: Run, file: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(real("verify", file(*FLASH), "--format", "csv").stdout)))
    document = json.loads(real("verify", file(*FLASH), "--format", "json").stdout)
    assert len(rows) == len(document["cells"])
    assert rows[0]["symbols"] == "b=1 h=12 d_h=64 n=513"


def test_every_cell_on_demand(real: Run, file: Any) -> None:
    shown = real("verify", file(*FLASH), "--cells", "--format", "md").stdout
    assert shown.count("| `flash` | forward |") == len(FLASH) * 6
    assert "| `flash` | forward |" not in real("verify", file(*FLASH), "--format", "md").stdout


def stale(found: Measurement) -> Measurement:
    return replace(found, source_hash="0" * 64)


def test_evidence_of_other_code_is_told_and_fails_if_asked_to(real: Run, file: Any) -> None:
    path = file(stale(FLASH[0]), *FLASH[1:])
    relaxed, strict = real("verify", path), real("verify", path, "--strict")
    assert (relaxed.exit_code, strict.exit_code) == (0, 1)
    assert relaxed.stderr == ("warning: flash: 1 measurements are of other code than its formulas; "
                              "run 'tfcost measure flash'\n")  # fmt: skip
    assert json.loads(real("verify", path, "--format", "json").stdout)["stale"] == {"flash": 1}
    assert real("verify", file(*FLASH), "--strict").exit_code == 0


def test_a_case_without_a_formula_is_told_and_fails_if_asked_to(real: Run, file: Any) -> None:
    path = file(*FLASH, measurement(case(n=64, d_h=80)))
    assert real("verify", path).exit_code == 0
    assert "derived for d_h = 64, 128" in real("verify", path).stderr
    assert real("verify", path, "--strict").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.json"], "none.json: No such file or directory"),
        (["--technique", "flush"], "unknown technique 'flush'; did you mean 'flash'?"),
    ],
)
def test_mistakes_take_one_line(real: Run, arguments: list[str], told: str) -> None:
    result = real("verify", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_no_measurement_of_a_technique(real: Run, file: Any) -> None:
    result = real("verify", file(*FLASH), "--technique", "linear")
    assert (result.exit_code, "no measurement of linear" in result.stderr) == (2, True)


def test_without_evidence_it_says_how_to_make_some(real: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(read, "FOLDER", tmp_path)
    result = real("verify")
    assert result.exit_code == 2
    assert "'tfcost measure' makes some" in result.stderr


def test_tfcosts_own_evidence_is_the_default(
    real: Run, file: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file(LARGER)
    monkeypatch.setattr(read, "FOLDER", tmp_path)
    assert real("verify").exit_code == 1


def test_neither_torch_nor_triton_nor_sympy_is_needed(file: Any) -> None:
    command = [sys.executable, "-c", LOADED, "verify", file(*FLASH)]
    assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0


def test_the_summary_is_one_table(real: Run, file: Any) -> None:
    shown = real("verify", file(*FLASH), "--summary", "--format", "md").stdout
    assert shown.count("### ") == 1
    assert "| matmul FLOPs | 17 | 17 | 17 of 17 | 0 | 0 |" in shown


def test_the_summary_counts_what_is_outside_without_listing_it(real: Run, file: Any) -> None:
    result = real("verify", file(LARGER, *FLASH[2:]), "--summary", "--format", "md")
    assert result.exit_code == 1
    assert result.stdout.count("### ") == 1
    assert "| peak memory | 16 | 15 | 15 of 16 |" in result.stdout


def test_times_scaled_by_the_longest_stand_below_the_raw_ones(real: Run, file: Any) -> None:
    """Half the predicted speed at all lengths: scaled by the longest, the others are met."""
    derived = {cell["symbols"]["n"]: cell["derived"] for cell in json.loads(
        real("verify", file(*timed({512: 1.0, 1024: 1.0, 2048: 1.0})), "--format", "json").stdout
    )["cells"] if cell["quantity"] == "time"}  # fmt: skip
    path = file(*timed({n: 2 * seconds for n, seconds in derived.items()}))
    document = json.loads(real("verify", path, "--format", "json").stdout)
    jsonschema.validate(document, SCHEMA)
    (every, flash) = document["scaled_time"]
    assert every == {**flash, "technique": "all"}
    assert (flash["technique"], flash["sweeps"], flash["times"]) == ("flash", 1, 2)
    assert (flash["typical_difference_unscaled"], flash["typical_difference"]) == (pytest.approx(1), pytest.approx(0))
    shown = real("verify", path, "--summary", "--format", "md").stdout
    assert "| time | 3 | 0 | not gated | 100 % | +100 % |" in shown
    assert "| time, scaled by the longest of its sweep | 2 | 0 | not gated | 0 |" in shown
    assert "2 of 3 times" in shown


def timed(seconds: dict[int, float]) -> list[Measurement]:
    return [measurement(case(n=n), timing=Timing(median, median, median, 9)) for n, median in seconds.items()]


def test_growth_and_claims_are_reports_of_their_own(real: Run, file: Any) -> None:
    path = file(*FLASH)
    growth = json.loads(real("verify", path, "--growth", "--format", "json").stdout)
    jsonschema.validate(growth, SCHEMA)
    peaks = [one["terms"] for one in growth["growth"] if one["quantity"] == "peak_bytes"]
    assert [[(term["term"], term["fitted"], term["margin"]) for term in terms] for terms in peaks] == [
        [("n", 4 * 2 * 12 * width, 0)] for width in (64, 64, 128, 128)
    ]
    assert {(one["from"], one["to"]) for one in growth["time_slopes"]} == {(513, 1000), (1000, 4096), (4096, 10000)}
    document = json.loads(real("verify", path, "--claims", "--technique", "flash", "--format", "json").stdout)
    jsonschema.validate(document, SCHEMA)
    claims = document["claims"]
    assert {(one["quote"], one["measured_as_stated"]) for one in claims if one["slopes"]} == {
        ("space O(nd), no n×n matrix", True), ("time O(n²d + nd²), the same as standard attention", True)
    }  # fmt: skip


@pytest.mark.parametrize("notation", ["table", "md", "csv", "latex"])
@pytest.mark.parametrize("what", ["--growth", "--claims", "--summary"])
def test_every_report_has_every_notation(real: Run, file: Any, what: str, notation: str) -> None:
    result = real("verify", file(*FLASH), what, "--format", notation)
    assert result.exit_code == 0, result.stderr
    assert "flash" in result.stdout


def test_plots_are_listed(real: Run, file: Any, tmp_path: Path) -> None:
    one_sweep = [one for one in FLASH if one.case.sizes["d_h"] == 64 and one.case.dtype == "bfloat16"]
    result = real("verify", file(*one_sweep), "--plot", str(tmp_path / "plots"))
    assert [Path(line).name for line in result.stdout.splitlines()] == [
        "flash-core-forward.png", "flash-core-forward.svg", "roofline-bfloat16.png", "roofline-bfloat16.svg"
    ]  # fmt: skip
    assert all(Path(line).is_file() for line in result.stdout.splitlines())


def test_one_report_at_a_time(real: Run, file: Any) -> None:
    result = real("verify", file(*FLASH), "--growth", "--claims")
    assert (result.exit_code, "ask for one at a time" in result.stderr) == (2, True)


def test_a_time_above_a_ceiling_is_refused_with_both_numbers(real: Run, file: Any) -> None:
    """4*b*h*n**2*d_h products in a microsecond."""
    path = file(measurement(case(n=8192), timing=Timing(1e-6, 1e-6, 1e-6, 10)))
    result = real("verify", path)
    assert result.exit_code == 1
    assert "\nerror: flash/core/forward/bfloat16" in result.stderr
    assert f"{4 * 12 * 8192**2 * 64 / 1e-6:.4g} FLOP/s, above the measured ceiling of 8e+14 FLOP/s" in result.stderr
    document = json.loads(real("verify", path, "--format", "json").stdout)
    jsonschema.validate(document, SCHEMA)
    assert [one["outcome"] for one in document["without_cells"]] == ["impossible"]
