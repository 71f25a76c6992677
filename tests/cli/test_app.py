"""The command line as a whole: help, version, completion, unknown commands, exit codes of errors."""

import sys
from pathlib import Path
from typing import Any

import pytest

import tfcost
from tfcost.cli import techniques
from tfcost.cli.group import COMMANDS
from tfcost.cli.version import version_text
from tfcost.errors import CannotMeasure
from tfcost.symbols import SYMBOLS

Run = Any


def test_help_lists_every_command(run: Run) -> None:
    shown = run("--help").stdout
    assert all(f"\n  {command}" in shown for command in COMMANDS)
    assert "Exit codes: 0 fine, 1 a check failed" in shown


def test_help_of_compare_lists_every_symbol_with_an_option(run: Run) -> None:
    shown = run("compare", "--help").stdout
    for symbol in SYMBOLS.values():
        assert symbol.option is None or f"{symbol.option} N" in shown
    assert "16k = 16*1024" in shown


def test_version_names_what_is_installed() -> None:
    lines = dict(line.split(maxsplit=1) for line in version_text().splitlines())
    assert lines["tfcost"] == tfcost.__version__
    assert lines["python"] == sys.version.split()[0]
    assert set(lines) == {"tfcost", "python", "torch", "triton", "CUDA", "GPU"}


def test_version_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "GPU     not found (nvidia-ml-py is not installed)" in version_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["compar"], "unknown command 'compar'; did you mean 'compare'?"),
        (
            ["xyz"],
            "unknown command 'xyz'; known: analyze, check, compare, derive, explain, measure, schema, techniques",
        ),
        (["--verison"], "No such option: --verison"),
        ([], "Missing command."),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(run: Run, arguments: list[str], expected: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {expected}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (CannotMeasure("no GPU"), 3, "error: no GPU\n"),
        (ZeroDivisionError("oh"), 1, "error: internal error: ZeroDivisionError: oh (-v: traceback)\n"),
    ],
)
def test_errors_have_their_exit_codes(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, expected: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(techniques, "publish", fail)
    result = run("techniques")
    assert (result.exit_code, result.stderr) == (code, expected)


def test_an_internal_error_shows_its_traceback_when_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(techniques, "publish", None)
    assert "Traceback" in run("techniques", "-v").stderr


def test_a_book_that_holds_code_is_refused(run: Run, book_folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    text = (book_folder / "dense.json").read_text(encoding="utf-8")
    (tmp_path / "dense.json").write_text(text.replace("4*b*h*n*m*d_h", "__import__('os')"), encoding="utf-8")
    monkeypatch.setattr("tfcost.book.book.BOOK_FOLDER", tmp_path)
    result = run("explain", "dense")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: formula, column")
    assert "Traceback" not in result.stderr


def test_shells_complete_commands_and_techniques(start: Any) -> None:
    for words, expected in (("tfcost com", "compare"), ("tfcost compare de", "dense")):
        environment = {"_TFCOST_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        found = start(env=environment)
        assert expected in found.stdout.decode().split()
