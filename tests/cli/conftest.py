"""A small book of made-up techniques, and the command line run on it in this process or as one of its own.

`dense` and `tiled` grow with n**2, `flat` with n; `tiled` exists for two head widths, `flat` has a chunked variant.
"""

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import tfcost.book.book
from tfcost.book import Claim, Option, Provenance, TechniqueRecord, write_record
from tfcost.cli.app import app
from tfcost.cost import Cost, Operation, Quantity, Step
from tfcost.formula import Formula

RUN = """\
import sys
from pathlib import Path
import tfcost.book.book
tfcost.book.book.BOOK_FOLDER = Path(sys.argv.pop(1))
from tfcost.cli.app import main
main()
"""

CAUSAL = Option((False, True), False, "a token sees only itself and those before it")


def make_cost(technique: str, scope: str, formulas: Mapping[str, str], **changes: object) -> Cost:
    """A cost whose one step and one operation hold its matmul FLOPs and its bytes."""
    amounts = {
        "matmul_flops": Formula(formulas["matmul_flops"]),
        "read_bytes": Formula(formulas["issued_bytes"]),
    }
    operation = Operation("aten.bmm", "scores", f"tfcost/techniques/{technique}.py:31", "scores = q @ k", amounts)
    cost: dict[str, object] = {
        "technique": technique,
        "implementation": "torch",
        "scope": scope,
        "pass_": "forward",
        "dtypes": ("bfloat16", "float16"),
        "variant": {"causal": False},
        "fixed": {},
        "symbols": ("b", "h", "h_kv", "n", "m", "d_h"),
        "quantities": {name: Quantity(Formula(text), "traced") for name, text in formulas.items()},
        "steps": (Step("scores", amounts),),
        "operations": (operation,),
        "assumptions": ("h_kv divides h",),
    }
    return Cost(**(cost | changes))  # type: ignore[arg-type]


def _formulas(matmul: str, peak: str) -> dict[str, str]:
    return {"matmul_flops": matmul, "scalar_flops": "b*h*n", "issued_bytes": "2*b*h*n*m", "peak_bytes": peak}


def _record(technique: str, section: str, costs: list[Cost], **changes: object) -> TechniqueRecord:
    record: dict[str, object] = {
        "technique": technique,
        "title": f"The {technique} one",
        "section": section,
        "implementation": "torch",
        "summary": "Made up.",
        "options": {"causal": CAUSAL},
        "defaults": {},
        "claims": (Claim(section, "time", Formula("n**2*d + n*d**2"), "时间复杂度"),),
        "provenance": Provenance({f"tfcost/techniques/{technique}.py": "0" * 64}, {"torch": "2.13.0"}),
        "costs": tuple(costs),
    }
    return TechniqueRecord(**(record | changes))  # type: ignore[arg-type]


def _dense() -> TechniqueRecord:
    core = _formulas("4*b*h*n*m*d_h", "8*b*h*n*d_h + 2*b*h*n*m")
    layer = _formulas("4*b*h*n*m*d_h + 8*b*n*h**2*d_h**2", "8*b*h*n*d_h + 2*b*h*n*m + 8*h**2*d_h**2")
    return _record("dense", "1.1", [make_cost("dense", "core", core), make_cost("dense", "layer", layer)])


def _tiled() -> TechniqueRecord:
    costs = [
        make_cost(
            "tiled",
            "core",
            _formulas(f"{4 * width}*b*h*128*ceiling(n/128)*64*ceiling(m/64)", f"{8 * width}*b*h*n"),
            implementation="triton",
            fixed={"d_h": width},
            variant={"causal": causal},
        )
        for width in (64, 128)
        for causal in (False, True)
    ]
    layer = _formulas("4*b*h*n*m*d_h + 8*b*n*h**2*d_h**2", "8*b*h*n*d_h + 8*h**2*d_h**2")
    costs.append(make_cost("tiled", "layer", layer, implementation="triton"))
    return _record("tiled", "2.1", costs, implementation="triton")


def _flat() -> TechniqueRecord:
    options = {"causal": CAUSAL, "feature_map": Option(("relu", "exp"), "relu", "what replaces softmax")}
    costs = [
        make_cost(
            "flat",
            "core",
            _formulas("4*b*h*n*d_h**2" + ("+ 4*b*h*n*c*d_h" if causal else ""), "14*b*h*n*d_h"),
            variant={"causal": causal, "feature_map": feature_map},
            symbols=("b", "h", "h_kv", "n", "m", "d_h", *(("c",) if causal else ())),
            assumptions=("c divides n",) if causal else (),
        )
        for feature_map in ("relu", "exp")
        for causal in (False, True)
    ]
    return _record("flat", "2.2", costs, options=options, defaults={"c": 64})


def _narrow() -> TechniqueRecord:
    """Whose formulas apply at some sizes only."""
    core = make_cost("narrow", "core", _formulas("4*b*h*n*d_h", "b*h*n"), assumptions=("m >= n: for a reason",))
    layer = make_cost("narrow", "layer", _formulas("8*b*h*n*d_h", "b*h*n"), assumptions=("m = n",))
    return _record("narrow", "2.3", [core, layer])


@pytest.fixture(scope="session")
def book_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    for record in (_dense(), _tiled(), _flat(), _narrow()):
        write_record(record, folder)
    return folder


Run = Callable[..., Result]


@pytest.fixture
def run(book_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in this process on the made-up book."""
    monkeypatch.setattr(tfcost.book.book, "BOOK_FOLDER", book_folder)
    return lambda *arguments, env=None: CliRunner().invoke(app, list(arguments), env=env)


@pytest.fixture
def real() -> Run:
    """Runs the command line in this process on the book that comes with tfcost."""
    return lambda *arguments, env=None: CliRunner().invoke(app, list(arguments), env=env)


@pytest.fixture
def start(book_folder: Path) -> Callable[..., "subprocess.CompletedProcess[bytes]"]:
    """Runs the command line as a process. `env` is added to the environment; `shell` is what follows the command in a
    shell (redirections, a pipe); COLUMNS and NO_COLOR are not inherited."""

    def run_process(
        *arguments: str, env: Mapping[str, str] | None = None, shell: str = ""
    ) -> "subprocess.CompletedProcess[bytes]":
        command = [sys.executable, "-c", RUN, str(book_folder), *arguments]
        if shell:
            command = ["sh", "-c", f'"$@" {shell}', "sh", *command]
        return subprocess.run(command, capture_output=True, env=_environment(env), timeout=60, check=False)

    return run_process


@pytest.fixture
def in_terminal(book_folder: Path) -> Callable[..., bytes]:
    """Runs the command line in a terminal and returns what that shows."""

    def run_in_terminal(*arguments: str, env: Mapping[str, str] | None = None) -> bytes:
        master, slave = pty.openpty()
        command = [sys.executable, "-c", RUN, str(book_folder), *arguments]
        with subprocess.Popen(command, stdout=slave, env=_environment(env)) as process:
            os.close(slave)
            shown = b"".join(_read_to_end(master))
        os.close(master)
        assert process.returncode == 0
        return shown

    return run_in_terminal


def _read_to_end(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # how Linux tells that the other side of a terminal is gone
            return
        if not part:
            return
        yield part


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "TERM")}
    return kept | {"TERM": "xterm-256color"} | dict(added or {})


@pytest.fixture(autouse=True)
def _a_terminal_of_100_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width of the terminal that the tests are started in must not decide where lines break."""
    monkeypatch.setenv("COLUMNS", "100")
