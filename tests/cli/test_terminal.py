"""The command line as a process: pipes that close, narrow and colourless terminals, plain encodings, full disks."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ESCAPE = b"\x1b["
GPT2 = str(Path(__file__).parents[2] / "configs" / "gpt2.yaml")
COMPARE = ("compare", "dense", "tiled", "flat", "--n", "10000")
Start = Any


def test_a_reader_that_leaves_ends_it_quietly(start: Start) -> None:
    found = start("explain", "dense", "--format", "json", shell="| head -c 1; exit ${PIPESTATUS:-0}")
    assert (found.stdout, found.stderr) == (b"{", b"")


@pytest.mark.parametrize("redirection", ["| true", ">&-"])
def test_a_closed_stdout_is_no_error(start: Start, redirection: str) -> None:
    found = start(*COMPARE, "--format", "json", shell=redirection)
    assert (found.returncode, found.stderr) == (0, b"")


def test_a_full_disk_is_told(start: Start) -> None:
    found = start(*COMPARE, shell="> /dev/full")
    assert found.returncode == 2
    assert found.stderr == b"error: cannot write to stdout: No space left on device\n"


def test_without_a_terminal_there_are_no_escapes(start: Start) -> None:
    assert ESCAPE not in start(*COMPARE).stdout


def test_a_terminal_gets_bold_and_colour(in_terminal: Start) -> None:
    assert ESCAPE in in_terminal(*COMPARE)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colour_stays_plain(in_terminal: Start, environment: dict[str, str]) -> None:
    assert ESCAPE not in in_terminal(*COMPARE, env=environment)


@pytest.mark.parametrize("command", [COMPARE, ("explain", "tiled"), ("techniques",)], ids=" ".join)
@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_no_line_is_wider_than_the_terminal(run: Any, command: tuple[str, ...], columns: str) -> None:
    shown = run(*command, env={"COLUMNS": columns}).stdout
    assert max(map(len, shown.splitlines())) <= int(columns)


def test_a_narrow_terminal_loses_nothing(start: Start) -> None:
    """The same words as in a wide one, folded elsewhere."""
    narrow, wide = (start(*COMPARE, env={"COLUMNS": columns}).stdout.decode().split() for columns in ("60", "200"))
    assert narrow == wide


def test_an_ascii_terminal_gets_ascii(start: Start) -> None:
    for command in (("explain", "dense"), ("techniques",)):
        found = start(*command, env={"PYTHONIOENCODING": "ascii"})
        assert (found.returncode, found.stderr) == (0, b"")
        found.stdout.decode("ascii")
    assert b"Theta(n**2*d)" in start(*COMPARE, env={"PYTHONIOENCODING": "ascii"}).stdout


def test_json_is_whole_on_an_ascii_terminal(start: Start) -> None:
    found = start("explain", "dense", "--format", "json", env={"PYTHONIOENCODING": "ascii"})
    assert json.loads(found.stdout)["explanation"]["claims"][0]["quote"] == "时间复杂度"


def test_neither_torch_nor_triton_is_imported(start: Start) -> None:
    """PYTHONPROFILEIMPORTTIME makes Python list every module it imports."""
    for command in (COMPARE, ("explain", "dense"), ("techniques",), ("--version",), ("schema",)):
        _imports_no_torch(start(*command, env={"PYTHONPROFILEIMPORTTIME": "1"}))


@pytest.mark.parametrize("arguments", [("compare", "flash", "linear", "--n", "10000"), ("analyze", GPT2)])
def test_the_main_jobs_import_neither_torch_nor_triton(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-X", "importtime", "-c", "from tfcost.cli.app import main; main()", *arguments]
    _imports_no_torch(subprocess.run(command, capture_output=True, check=False))


def _imports_no_torch(process: "subprocess.CompletedProcess[bytes]") -> None:
    imported = {line.split("|")[-1].strip() for line in process.stderr.decode().splitlines()}
    assert process.returncode == 0
    assert "typer" in imported
    assert not {name for name in imported if name.split(".")[0] in ("torch", "triton")}


@pytest.mark.parametrize("arguments", [("compare", "flash", "linear", "--n", "10000"), ("analyze", GPT2)])
def test_the_main_jobs_take_little_longer_than_their_imports(arguments: tuple[str, ...]) -> None:
    """At most 1.6 times what importing the core dependencies takes: the best of some runs, on the real book."""
    imports = [sys.executable, "-c", "import sympy, typer, rich, yaml, pydantic"]
    command = [sys.executable, "-c", "from tfcost.cli.app import main; main()", *arguments]
    imported, taken = [], []
    for _ in range(8):
        imported.append(_seconds(imports))
        taken.append(_seconds(command))
        if len(taken) >= 3 and min(taken) <= 1.6 * min(imported):
            break
    assert min(taken) <= 1.6 * min(imported)


def _seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin
