"""Kernels beside their references: one that agrees, ones that are a little wrong. Triton's interpreter runs them."""

import dataclasses
from pathlib import Path

import pytest

from tfcost.check.agree import disagreement
from tfcost.check.client import environment_of_targets
from tfcost.check.job import Job

KERNEL = """\
import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(x, y, n, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + place, tl.load(x + place, mask=place < n) * 2.0, mask=place < n)


def double(x):
    y = torch.empty_like(x)
    scale_kernel[(triton.cdiv(x.shape[0], 16),)](x, y, x.shape[0], BLOCK=16)
    return y


def truth(x):
    return x + x


def nearly(x):
    return x * 2.01


def shorter(x):
    return x[1:]


def broken(x):
    return x.nothing
"""


def _job(folder: Path, reference: str) -> Job:
    (folder / "kernel.py").write_text(KERNEL)
    return Job(
        name="double", root=str(folder), passes=("forward",), dtype="bfloat16", time_limit=60,
        function="kernel.py:double", dims=("n",), shapes={"x": "n"}, reference=f"kernel.py:{reference}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("truth", ""),
        pytest.param("nearly", "is off by ", marks=pytest.mark.slow),
        pytest.param("shorter", "returns tensors of shapes [[70]], its reference [[69]]", marks=pytest.mark.slow),
        pytest.param("broken", "could not be run beside its reference: AttributeError: ", marks=pytest.mark.slow),
        pytest.param("missing", "kernel.py: no function 'missing'", marks=pytest.mark.slow),
    ],
)
def test_a_kernel_and_its_reference(tmp_path: Path, reference: str, told: str) -> None:
    found = disagreement(_job(tmp_path, reference), environment_of_targets())
    assert found.startswith(told)
    assert bool(found) == bool(told)


@pytest.mark.slow
def test_flash_attention_agrees_with_its_reference(tmp_path: Path) -> None:
    job = dataclasses.replace(
        _job(tmp_path, "truth"), function="", technique="flash", dims=(), shapes={}, d_h=64,
        passes=("forward", "backward"), reference="tfcost_kernels.flash.reference:attention_reference",
    )  # fmt: skip
    assert disagreement(job, environment_of_targets()) == ""
    causal = dataclasses.replace(job, options={"causal": True})
    assert disagreement(causal, environment_of_targets()) == ""
