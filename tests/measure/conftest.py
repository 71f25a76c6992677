"""A machine with a GPU that is none: nvidia-smi and ncu on the path, and a measuring process that pretends."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tfcost.evidence.record import Case
from tfcost.measure.command import Settings

HERE = Path(__file__).parent
CHILD = (sys.executable, str(HERE / "cpu_child.py"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both programs, first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in (("ncu", "fake_ncu.py"), ("nvidia-smi", "fake_smi.py")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / script} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Results beside the test; no ceilings, which need a GPU."""
    return Settings(output=tmp_path / "results.json", ceilings=False, quiet=True, child=CHILD)


@pytest.fixture
def make_cases() -> Callable[[Sequence[int]], list[Case]]:
    """Cases of flash attention, with these n."""

    def make(lengths: Sequence[int]) -> list[Case]:
        sizes = {"b": 1, "d": 768, "h": 12, "h_kv": 12, "d_h": 64}
        return [Case("flash", "core", "forward", "bfloat16", {"causal": False}, {**sizes, "n": n, "m": n})
                for n in lengths]  # fmt: skip

    return make
