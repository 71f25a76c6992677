"""The command line as a process: pipes that close, narrow and colourless terminals, plain encodings, full disks."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

ESCAPE = b"\x1b["
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


def test_no_color_keeps_a_terminal_plain(in_terminal: Start) -> None:
    assert ESCAPE not in in_terminal(*COMPARE, env={"NO_COLOR": "1"})


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
    for command in (COMPARE, ("explain", "dense"), ("explain", "dense", "--format", "json"), ("techniques",)):
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
        code = start(*command, env={"PYTHONPROFILEIMPORTTIME": "1"})
        imported = {line.split("|")[-1].strip() for line in code.stderr.decode().splitlines()}
        assert code.returncode == 0
        assert not {name for name in imported if name.split(".")[0] in ("torch", "triton")}
        assert "typer" in imported


def test_compare_takes_little_longer_than_its_imports(start: Start) -> None:
    """At most 1.6 times what importing the core dependencies takes: the best of three each."""
    imports = [sys.executable, "-c", "import sympy, typer, rich, yaml, pydantic"]
    compared, imported = [], []
    for _ in range(3):
        imported.append(_seconds(lambda: subprocess.run(imports, check=True)))
        compared.append(_seconds(lambda: start("compare", "tiled", "flat", "--n", "10000")))
    assert min(compared) <= 1.6 * min(imported)


def _seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin
