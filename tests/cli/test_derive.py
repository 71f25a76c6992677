"""`tfcost derive`: a function of the user's, with its mistakes, and the book against its code."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tfcost.book.book
from tfcost.book import load_book, write_record
from tfcost.derive import command
from tfcost.derive.book_check import describe
from tfcost.derive.technique import Variant
from tfcost.techniques import ffn

Run = Any

MINE = """\
import sys
import torch

print("importing")

def attend(q, k, v):
    print("running on", q.shape)
    sys.stdout.write("and more\\n")
    return torch.softmax(q @ k.transpose(-2, -1), -1) @ v

def scan(x):
    h = x[0]
    for t in range(x.shape[0]):
        h = h + x[t]
    return h

def fails(x):
    raise ValueError("no\\nsuch\\nthing")

def unknown(x):
    return torch.fft.fft(x)

def reads(x):
    return x * x.max().item()

def specialises(x):
    return x.view(x.shape[0] ** 2, -1)

def nothing(x):
    print(x.shape)
"""
ATTEND = ("--dim", "n", "--dim", "d", "--shape", "q=n,d", "--shape", "k=n,d", "--shape", "v=n,d")
ONE = ("--dim", "n", "--dim", "d", "--shape", "x=n,d", "--dtype", "float32")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return path


def test_a_function_as_a_table(real: Run, mine: Path) -> None:
    result = real("derive", "mine.py:attend", *ATTEND)
    assert result.exit_code == 0
    assert "mine.py:9  return torch.softmax(q @ k.transpose(-2, -1), -1) @ v" in result.stdout
    assert "matmul FLOPs       Θ(n²·d)" in result.stdout


def test_what_a_function_prints_does_not_reach_the_result(
    start: Callable[..., "subprocess.CompletedProcess[bytes]"], mine: Path
) -> None:
    process = start(
        "derive", "mine.py:attend", *ATTEND, "--pass", "forward", "--pass", "backward", "--format", "json",
        env={"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.returncode == 0
    document = json.loads(process.stdout)
    assert [result["pass"] for result in document["results"]] == ["forward", "backward"]
    forward, backward = (result["quantities"]["matmul_flops"]["exact"] for result in document["results"])
    # Two products of 2·n·n·d, and in the backward pass two for each.
    assert (forward, backward) == ("4*d*n**2", "8*d*n**2")
    for printed in (b"importing", b"running on", b"and more"):
        assert printed in process.stderr
        assert printed not in process.stdout


def test_only_the_passes_asked_for(real: Run, mine: Path) -> None:
    document = json.loads(real("derive", "mine.py:attend", *ATTEND, "--pass", "backward", "--format", "json").stdout)
    assert [result["pass"] for result in document["results"]] == ["backward"]


def test_interpolation_is_told(real: Run, mine: Path) -> None:
    result = real("derive", "mine.py:scan", *ONE)
    assert result.exit_code == 0
    assert "Assumes: n >= 2" in result.stdout
    assert "n by exact interpolation of traces at 2 to 7" in result.stdout


def test_the_result_goes_to_a_file(real: Run, mine: Path, tmp_path: Path) -> None:
    result = real("derive", "mine.py:attend", *ATTEND, "--format", "csv", "--output", "costs.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "costs.csv").read_text().startswith("technique,pass,quantity,unit,formula")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mine.py:fails", *ONE], "error: mine.py:18: ValueError: no such thing"),
        (["mine.py:unknown", *ONE], "error: mine.py:21: no rule for the operation aten._fft_r2c.default"),
        (["mine.py:reads", *ONE], "error: mine.py:24: aten._local_scalar_dense reads a value that only real data has"),
        (["mine.py:specialises", *ONE], "error: mine.py:27: RuntimeError: shape '[n**2, -1]' is invalid for input"),
        (["mine.py:nothing", *ONE], "error: the function returned no tensor"),
        (["yours.py:attend", *ONE], "error: yours.py: no such file"),
        (["mine.py:atend", *ONE], "error: mine.py: no function 'atend'; did you mean 'attend'?"),
        (["mine.py", *ONE], "error: 'mine.py' is not FILE.py:FUNCTION"),
        (["mine.py:attend", "--dim", "n", "--shape", "q=n"], "error: attend needs k, v: give --shape k=… or --arg k=…"),
        (["mine.py:attend", *ATTEND, "--pass", "sideways"], "error: --pass sideways: a function has the passes"),
        (["mine.py:attend", *ATTEND, "--dtype", "int8"], "error: --dtype"),
        (["mine.py:attend", *ATTEND, "--dim", "n=0"], "error: --dim n=0"),
        (["mine.py:attend", *ATTEND, "--check"], "error: --check compares the book with its techniques"),
        (["mine.py:attend", "mine.py:scan"], "error: derive one FILE.py:FUNCTION at a time"),
        (["ffn", "--dim", "n"], "error: --dim, --shape, --arg and --pass describe a FILE.py:FUNCTION"),
        (["flsh"], "error: unknown technique 'flsh'; did you mean 'flash'?"),
        (["broken.py:f"], "error: broken.py:2: importing it failed: SyntaxError: "),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_a_line_or_two(
    real: Run, mine: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    (tmp_path / "broken.py").write_text("import torch\ndef f(:\n")
    result = real("derive", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    errors = [line for line in result.stderr.splitlines() if line not in ("importing", "and more")]
    (place,) = (position for position, line in enumerate(errors) if line.startswith("error: "))
    assert errors[place].startswith(expected)
    assert len(errors) - place <= 2
    assert "Traceback" not in result.stderr


@pytest.fixture
def one_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book of the first variant of the feed-forward network, as the real book has it; only that one is derived."""
    variant: Variant = next(iter(ffn.TECHNIQUE.variants()))
    record = load_book().record("ffn")
    costs = tuple(cost for cost in record.costs if cost.scope == variant.scope and cost.variant == variant.options)
    assert len(costs) == 4, [describe(cost) for cost in costs]
    folder = tmp_path / "book"
    folder.mkdir()
    write_record(replace(record, costs=costs), folder)
    monkeypatch.setattr(command, "techniques", lambda: {"ffn": ffn.TECHNIQUE})
    monkeypatch.setattr(command, "_variants", lambda name: [variant])
    monkeypatch.setattr(command, "BOOK_FOLDER", folder)
    monkeypatch.setattr(tfcost.book.book, "BOOK_FOLDER", folder)
    return folder / "ffn.json"


def test_check_agrees_with_the_real_book(real: Run, one_variant: Path) -> None:
    before = one_variant.read_bytes()
    result = real("derive", "--check")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.startswith("4 costs of 1 techniques derived in ")
    assert result.stdout.endswith(": the book agrees\n")
    assert one_variant.read_bytes() == before


def _tampered(path: Path) -> tuple[str, str]:
    """Doubles the FLOPs of the first cost; returns (the formula that was there, the one that is there now)."""
    document: Any = json.loads(path.read_text())
    found = document["costs"][0]["quantities"]["matmul_flops"]
    right = found["exact"]
    found["exact"] = f"2*({right})"
    path.write_text(json.dumps(document))
    return right, found["exact"]


def test_check_shows_what_differs(real: Run, one_variant: Path) -> None:
    right, wrong = _tampered(one_variant)
    before = one_variant.read_bytes()
    result = real("derive", "--check")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    place = next(position for position, line in enumerate(lines) if line.endswith(": matmul_flops"))
    assert lines[place].startswith("ffn layer forward ")
    assert lines[place + 1 : place + 3] == [f"  - {wrong}", f"  + {right}"]
    assert "1 formulas differ from the book" in lines[-1]
    assert "run 'tfcost derive'" in result.stderr
    assert one_variant.read_bytes() == before


def test_a_cost_that_the_book_lacks_is_a_difference(real: Run, one_variant: Path) -> None:
    document: Any = json.loads(one_variant.read_text())
    document["costs"] = document["costs"][1:]
    one_variant.write_text(json.dumps(document))
    result = real("derive", "--check")
    assert result.exit_code == 1
    assert "  - (nothing)" in result.stdout


def test_derive_mends_the_book(real: Run, one_variant: Path) -> None:
    right, _ = _tampered(one_variant)
    result = real("derive", "ffn")
    assert result.exit_code == 0
    assert result.stdout.startswith("4 costs of 1 techniques derived in ")
    assert json.loads(one_variant.read_text())["costs"][0]["quantities"]["matmul_flops"]["exact"] == right
    assert real("derive", "--check").exit_code == 0
