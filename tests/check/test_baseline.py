"""Times against a baseline: noise raises no alarm, a slower case does, and only on the same kind of GPU."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from check.synthetic import ENVIRONMENT, case, measurement

from tfcost.check.baseline import RUNS, findings, worse
from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Evidence, Memory, Timing

CASES = [case(n=n) for n in (1024, 2048, 4096, 8192)]
GPU = replace(ENVIRONMENT, gpu="NVIDIA H100 80GB HBM3")


def _timing(seconds: float, noise: float, chosen: random.Random, runs: int = 50) -> Timing:
    """The median and percentiles of `runs` times around `seconds` that scatter by the part `noise`."""
    times = sorted(seconds * (1 + abs(chosen.gauss(0, noise))) for _ in range(runs))
    return Timing(times[runs // 2], times[runs // 5], times[4 * runs // 5], runs)


def _run(seed: int, factors: Sequence[float] = (1, 1, 1, 1), noise: float = 0.02, gpu: str = GPU.gpu) -> Evidence:
    chosen = random.Random(seed)
    # Clocks move all times of a run together.
    clock = 1 + chosen.uniform(-0.015, 0.015)
    found = [
        measurement(one, timing=_timing(1e-4 * factor * clock, noise, chosen), memory=Memory(10**6, 10**6, 4))
        for one, factor in zip(CASES, factors, strict=True)
    ]
    return Evidence((replace(GPU, gpu=gpu),), (None,), tuple(found))


def test_an_unchanged_kernel_raises_no_alarm() -> None:
    for seed in range(200):
        runs = [_run(10_000 + RUNS * seed + number) for number in range(RUNS)]
        assert list(worse(_run(seed), runs)) == []


def test_one_slower_case_is_told_and_no_other() -> None:
    for seed in range(50):
        runs = [_run(10_000 + RUNS * seed + number, (1, 1, 1.25, 1)) for number in range(RUNS)]
        (found,) = worse(_run(seed), runs)
        assert (found.measurement.case, found.quantity) == (CASES[2], "time")
        assert 1.15 < found.ratio < 1.35


def test_a_case_that_is_slower_once_is_noise() -> None:
    runs = [_run(1, (2, 1, 1, 1)), _run(2), _run(3)]
    assert list(worse(_run(0), runs)) == []


def test_a_mean_would_hide_it() -> None:
    runs = [_run(number, (0.5, 0.5, 1.5, 0.5)) for number in (1, 2, 3)]
    assert [found.measurement.case for found in worse(_run(0), runs)] == [CASES[2]]


def test_a_scattering_case_needs_a_larger_change() -> None:
    noisy = [_run(number, (1.15, 1, 1, 1), noise=0.3) for number in (1, 2, 3)]
    assert list(worse(_run(0, noise=0.3), noisy)) == []


def test_more_memory_is_told_to_the_byte() -> None:
    baseline, run = _run(0), _run(1)
    more = [replace(one, memory=Memory(10**6 + 512, 10**6, 4)) for one in run.measurements]
    found = list(worse(baseline, [replace(run, measurements=tuple(more))]))
    assert [one.quantity for one in found] == ["peak_bytes"] * 4
    (told, *_) = findings("flash", found)
    assert told.message == "flash/peak_bytes measured (x1): 1,000,000 B -> 1,000,512 B"
    assert list(worse(replace(run, measurements=tuple(more)), [baseline])) == []


def test_another_gpu_is_refused_by_name() -> None:
    with pytest.raises(CannotMeasure, match=r"measured on NVIDIA H100 80GB HBM3, this GPU is NVIDIA A100-SXM4-80GB"):
        list(worse(_run(0), [_run(1, gpu="NVIDIA A100-SXM4-80GB")]))


def test_cases_that_only_one_side_has_are_left_alone() -> None:
    run = _run(1, (9, 9, 9, 9))
    assert list(worse(replace(_run(0), measurements=()), [run])) == []
    assert list(worse(_run(0), [])) == []
