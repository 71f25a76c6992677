"""The lock file: what is written is read again; anything else in it is refused with its line, and nothing is run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfcost.check.lock import Lock, lock_text, read_lock, write_lock
from tfcost.errors import UserError
from tfcost.formula import Formula

FORMULAS = {
    ("attention", "forward", "peak_bytes"): Formula("4*b*n**2 + Max(n, m)"),
    ("attention", "forward", "peak_bytes", "feature map", "aten.bmm"): Formula("2*b*n**2"),
    ("attention", "forward", "peak_bytes", 'a "b"/c = d', "kernel.tt.dot"): Formula("1/2"),
    ("other", "backward", "matmul_flops"): Formula("0"),
}
HEAD = "tfcost-lock 1 tfcost=0.1.0\n"
LINE = "attention/forward/peak_bytes = 4*n\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tfcost.lock"


def test_what_is_written_is_read(path: Path) -> None:
    lock = Lock(FORMULAS, {"tfcost": "0.1.0", "torch": "2.13.0"})
    write_lock(path, lock)
    assert read_lock(path) == lock
    assert list(read_lock(path).formulas) == list(FORMULAS)


def test_one_formula_a_line_with_its_whole_name(path: Path) -> None:
    lines = lock_text(Lock(FORMULAS)).splitlines()
    assert 'attention/forward/peak_bytes/"feature map"/aten.bmm = 2*b*n**2' in lines
    assert sum(" = " in line for line in lines) == len(FORMULAS)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", 0, "the file is empty"),
        ("hello\n", 1, "not a lock file"),
        ("tfcost-lock x\n", 1, "not a lock file"),
        ("tfcost-lock 9\n" + LINE, 1, "lock version 9 is not 1, the one this tfcost reads"),
        ("tfcost-lock " + "9" * 5000 + "\n", 1, "lock version 999999999 is not 1"),
        (HEAD + LINE + LINE, 3, "'attention/forward/peak_bytes' is there twice"),
        (HEAD + "<<<<<<< HEAD\n", 2, "expected TARGET/PASS/QUANTITY = FORMULA"),
        (HEAD + "attention/peak_bytes = n\n", 2, "expected TARGET/PASS/QUANTITY = FORMULA"),
        (HEAD + "a/b/c/d/e/f = n\n", 2, "expected TARGET/PASS/QUANTITY = FORMULA"),
        (HEAD + "a/forward/peak_byte = n\n", 2, "no quantity is called 'peak_byte'; did you mean 'peak_bytes'"),
        (HEAD + "a/forward/peak_bytes = n +\n", 2, "the formula stops here"),
        (HEAD + "a/forward/peak_bytes =\n", 2, "expected TARGET"),
        (HEAD + "a/forward/peak_bytes = __import__('os').system('true')\n", 2, "not a formula"),
        (HEAD + "a/forward/peak_bytes = open(n)\n", 2, "unknown function 'open'"),
        (HEAD + "a/forward/peak_bytes = n.__class__\n", 2, "not a formula"),
        (HEAD + "a/forward/peak_bytes = " + "(" * 5000 + "n" + ")" * 5000 + "\n", 2, "nested more than"),
        (HEAD + "a/forward/peak_bytes = 9**9**9**9\n", 2, "too large"),
        (HEAD + "a/forward/peak_bytes = " + "9" * 300_000 + "\n", 2, "not a formula"),
        (HEAD + 'a/forward/peak_bytes/"\\ud800x/b = n\n', 2, "expected TARGET"),
        (HEAD + "a/forward/peak_bytes = n\x00\n", 2, "not a formula"),
        (HEAD + "a/forward/peak_bytes = ｎ\n", 2, "not a formula"),
    ],
)
def test_other_content_is_refused_with_its_line(path: Path, content: str, line: int, message: str) -> None:
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_lock(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}: " if line else f"{path}: ")


def test_files_that_are_no_text_or_not_there(path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no lock file yet; write it with 'tfcost check --update'"):
        read_lock(path)
    path.write_bytes(b"tfcost-lock 1\n\xff\xfe\n")
    with pytest.raises(UserError, match=r":2: not a text file"):
        read_lock(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        read_lock(path)


def test_a_formula_is_never_run(path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path.write_text(f"{HEAD}a/forward/peak_bytes = exec(\"open({str(mark)!r}, 'w')\")\n")
    with pytest.raises(UserError):
        read_lock(path)
    assert not mark.exists()


@pytest.mark.parametrize("moment", ["os.fsync", "os.replace"])
def test_killed_while_it_is_written_the_old_file_is_whole(path: Path, moment: str) -> None:
    write_lock(path, Lock(FORMULAS))
    old = path.read_bytes()
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom tfcost.check.lock import Lock, write_lock\n"
        f"{moment} = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\nwrite_lock(Path(sys.argv[1]), Lock())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == old
    assert read_lock(path).formulas == FORMULAS


def test_a_folder_that_cannot_be_written_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(UserError, match=r"cannot write .*tfcost.lock: Read-only file system"):
        write_lock(path, Lock(FORMULAS))
    assert not path.exists()
