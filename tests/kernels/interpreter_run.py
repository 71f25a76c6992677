"""Runs kernels in Triton's CPU interpreter, in a process of their own, and compares them with torch.

Triton reads TRITON_INTERPRET when a kernel is decorated, so one process has either interpreted or compiled kernels: a
test file starts its driver script with `run_driver`, the driver prints a report with `print_report`.
The interpreter multiplies bf16 as raw integers: float types are fp16 and fp32.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Errors = dict[str, dict[str, float]]


def run_driver(script: Path) -> Any:
    """The JSON report that `script` prints in a process with interpreted kernels."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def print_report(report: Mapping[str, Any]) -> None:
    """In the driver: one line of JSON."""
    print(json.dumps(report))


def poison_new_tensors() -> None:
    """Fill every new output with NaN, so that an element which no program writes shows."""
    empty, empty_like = torch.empty, torch.empty_like
    torch.empty = lambda *a, **kw: _poisoned(empty(*a, **kw))
    torch.empty_like = lambda *a, **kw: _poisoned(empty_like(*a, **kw))


def _poisoned(tensor: Tensor) -> Tensor:
    return tensor.fill_(float("nan") if tensor.is_floating_point() else 2**30)


def errors(names: Iterable[str], got: list[Tensor], same: list[Tensor], exact: list[Tensor]) -> Errors:
    """Largest absolute error against fp64: of the kernels and of torch in the case's dtype; and the largest value."""
    return {
        name: {
            "kernel": _largest(g.double() - e),
            "torch": _largest(s.double() - e),
            "size": _largest(e),
        }
        for name, g, s, e in zip(names, got, same, exact, strict=True)
    }


def _largest(tensor: Tensor) -> float:
    return tensor.abs().max().item() if tensor.numel() else 0.0


def assert_close(case: Errors) -> None:
    """At most twice torch's error, plus a few roundings of fp32 where torch happens to be exact."""
    atol = 16 * 2.0**-24 * max(error["size"] for error in case.values())
    for name, error in case.items():
        assert error["kernel"] <= 2 * error["torch"] + atol, (name, error)
