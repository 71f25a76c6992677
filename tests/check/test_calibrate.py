"""Scaled times against made-up measurements whose ratio to the prediction is chosen."""

from dataclasses import replace
from typing import Any

import pytest
from check.synthetic import case, evidence, measurement

from tfcost.book import load_book
from tfcost.check.calibrate import ScaledTime, calibrations, scaled_sweeps
from tfcost.check.sweeps import points
from tfcost.evidence.record import Ceilings, Measurement, Timing

BOOK = load_book()
BANDWIDTH = 1e12
MEMORY_BOUND = Ceilings({"bfloat16": 1e30}, 1e30, BANDWIDTH, 1e-30)
"""With these a forward pass of flash attention takes what moving q, k, v and o takes: 4 tensors of 2 bytes."""


def predicted(n: int, h: int = 12) -> float:
    return 4 * 2 * h * n * 64 / BANDWIDTH


def timed(n: int, ratio: float, **changes: Any) -> Measurement:
    """A forward pass that takes `ratio` times what the ceilings predict."""
    seconds = ratio * predicted(n, changes.get("h", 12))
    return measurement(case(n=n, **changes), timing=Timing(seconds, seconds, seconds, 9))


def scaled(*measurements: Measurement, ceilings: Ceilings | None = MEMORY_BOUND) -> list[tuple[ScaledTime, ...]]:
    return list(scaled_sweeps(points(evidence(*measurements, ceilings=ceilings), BOOK)))


def test_the_longest_scales_the_others_and_is_left_out() -> None:
    (times,) = scaled(timed(4096, 2.0), timed(1024, 3.0), timed(2048, 1.0))
    assert [(one.case.sizes["n"], one.scale) for one in times] == [(1024, pytest.approx(2)), (2048, pytest.approx(2))]
    assert [one.predicted for one in times] == [pytest.approx(predicted(n)) for n in (1024, 2048)]
    assert [one.raw for one in times] == [pytest.approx(2), pytest.approx(0, abs=1e-9)]
    assert [one.scaled for one in times] == [pytest.approx(0.5), pytest.approx(-0.5)]


def test_what_differs_in_anything_but_the_length_scales_nothing() -> None:
    assert scaled(
        timed(4096, 2.0), timed(1024, 1.0, h=6), timed(1024, 1.0, variant={"causal": True}),
        timed(1024, 1.0, dtype="float16"), timed(1024, 1.0, pass_="backward"),
    ) == []  # fmt: skip
    assert [len(times) for times in scaled(timed(1024, 1.0), timed(2048, 1.0), timed(1024, 9.0, h=6))] == [1]


def test_without_times_or_ceilings_there_is_nothing_to_scale() -> None:
    assert scaled(measurement(case(n=1024)), timed(2048, 1.0)) == []
    assert scaled(timed(1024, 1.0), timed(2048, 1.0), ceilings=None) == []
    assert calibrations([]) == ()


def test_medians_per_technique_and_over_all() -> None:
    flash = [timed(4096, 2.0), timed(1024, 2.2), timed(2048, 3.0), timed(512, 1.0)]
    more = [timed(4096, 4.0, h=6), timed(1024, 4.0, h=6)]
    every, one = calibrations(scaled(*flash, *more))
    assert (every.technique, one.technique) == ("all", "flash")
    assert (one.sweeps, one.times) == (2, 4)
    assert one.raw == pytest.approx(1.6)  # of 1.2, 2, 0 and 3
    assert one.scaled == pytest.approx(0.3)  # of 0.1, 0.5, 0.5 and 0
    assert abs(one.worst.scaled) == pytest.approx(0.5)


def test_techniques_are_told_apart() -> None:
    (flash,), (other,) = scaled(timed(1024, 1.0), timed(2048, 1.0)), scaled(timed(512, 3.0), timed(2048, 1.0))
    linear = tuple(replace(one, case=replace(one.case, technique="linear")) for one in other)
    assert [(one.technique, one.times, one.scaled) for one in calibrations([linear, flash])] == [
        ("all", 2, pytest.approx(1)), ("flash", 1, pytest.approx(0)), ("linear", 1, pytest.approx(2))
    ]  # fmt: skip
