"""Functions marked with a contract are collected and judged like tests; the mark itself changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import tfcost
from tfcost.check.mark import ATTRIBUTE

TESTS = """\
import torch
import tfcost

SHAPES = {"dims": ["b", "n", "d"], "shapes": {"q": "b,n,d", "k": "b,n,d"}}


@tfcost.contract(time="n**2*d", memory="n**2 + n*d", **SHAPES)
def good(q, k):
    return torch.softmax(q @ k.mT, dim=-1) @ k


@tfcost.contract("forward memory: n*d", matmul_flops="<= 4*b*n**2*d", **SHAPES)
def bad(q, k):
    return torch.softmax(q @ k.mT, dim=-1) @ k


@tfcost.contract(memory="n^2", **SHAPES)
def unreadable(q, k):
    return q


@tfcost.contract(memory="n*d", dims=["n", "d=8"], shapes={"x": "n,d"}, init={"width": "8"})
class Module(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = torch.nn.Linear(width, width)

    def forward(self, x):
        return self.inner(x)


def test_plain():
    assert good(torch.ones(1, 2, 3), torch.ones(1, 2, 3)).shape == (1, 2, 3)
"""


def test_the_mark_is_a_note_and_no_more() -> None:
    def attend(q: int) -> int:
        return q

    marked = tfcost.contract(time="n**2", peak_bytes="<= 3*n", dims=["n"], shapes={"q": "n"}, dtype="float32")(attend)
    assert marked is attend
    assert getattr(attend, ATTRIBUTE) == {
        "dims": ["n"], "shapes": {"q": "n"}, "contract": ["time: n**2", "peak_bytes <= 3*n"], "dtype": "float32",
    }  # fmt: skip


def test_marked_functions_are_tests(tmp_path: Path) -> None:
    (tmp_path / "test_costs.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tfcost.pytest_plugin", "-p", "no:cacheprovider", "-rA", "-q"]
    # Named above, whether tfcost is installed (and pytest finds it by itself) or not.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
                   "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    for name, outcome in {"good": "PASSED", "bad": "FAILED", "unreadable": "FAILED", "Module": "PASSED",
                          "test_plain": "PASSED"}.items():  # fmt: skip
        assert f"{outcome} test_costs.py::{name}" in done.stdout, done.stdout
    assert "bad/memory is Θ(n² + n·d), more than the Θ(n·d) of its contract" in done.stdout
    assert "(test_costs.py:14): 2·b·n²" in done.stdout
    assert "contract, column 10: unexpected character '^'" in done.stdout


def test_the_plugin_imports_nothing_of_tfcost_before_it_has_to() -> None:
    script = "import sys, tfcost.pytest_plugin; print([m for m in sys.modules if m.startswith(('tfcost.', 'torch'))])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['tfcost.pytest_plugin']"
