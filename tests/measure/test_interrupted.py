"""Ctrl-C on the command itself: what was measured is saved, nobody is left behind, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from measure.cpu_child import HANGS

from tfcost.book import load_book
from tfcost.evidence.read import read_evidence
from tfcost.evidence.record import Case
from tfcost.measure.command import Settings, measure

SCRIPT = """
import functools, sys
from pathlib import Path
import tfcost.measure.command as command, tfcost.measure.sweeps as sweeps
command.Settings = functools.partial(command.Settings, child=(sys.executable, sys.argv[1]))
sys.argv[1:] = ["measure", "flash", "--n", "1,2,{hangs}", "--d-h", "64", "--no-ceilings", "--output", sys.argv[2]]
from tfcost.cli.app import main
main()
"""


def test_ctrl_c(machine: Path, settings: Settings, make_cases: Callable[[Sequence[int]], list[Case]]) -> None:
    assert settings.output is not None
    script = machine / "run.py"
    script.write_text(SCRIPT.format(hangs=HANGS))
    process = subprocess.Popen([sys.executable, script, settings.child[1], settings.output], stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, text=True, start_new_session=True)  # fmt: skip
    waited = time.monotonic() + 60
    while _measured(settings.output) < 2 and time.monotonic() < waited:
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert _measured(settings.output) >= 2
    before = {one.case.key: one.date for one in read_evidence(settings.output).measurements}
    result = measure(make_cases([1, 2]), load_book(), replace(settings, counters=False))
    assert all(before.get(one.case.key, one.date) == one.date for one in result.measurements)


def _measured(path: Path) -> int:
    return len(read_evidence(path).measurements) if path.exists() else 0
