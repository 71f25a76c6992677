"""Growth of numbers whose law is known: what torch's counter says, memory counted by hand, times that are a power."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from check.synthetic import OURS, case, counters, evidence, measurement
from torch.utils.flop_counter import FlopCounterMode

from tfcost.book import load_book
from tfcost.check.cells import TIME
from tfcost.check.growth import Growth, all_growth, growth, slopes
from tfcost.check.sweeps import Sweep, points, sweeps
from tfcost.evidence.record import Kernel, Measurement, Memory, Timing
from tfcost.techniques import standard

BOOK = load_book()
LIBRARY = Kernel("gemm", 2, 200, 49152, triton=False)


def found(*measurements: Measurement) -> list[Sweep]:
    return list(sweeps(points(evidence(*measurements), BOOK)))


def flops(n: int) -> int:
    shape = (1, 12, n, 64)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        standard.attention(torch.empty(shape), torch.empty(shape), torch.empty(shape))
    return int(counter.get_total_flops())


def standard_sweep(*sizes: int, scale: int = 1, exponent: float = 1.5) -> Sweep:
    """Standard attention: FLOPs as torch counts them, and times that grow with a power of n."""
    (sweep,) = found(
        *(
            measurement(
                case("standard", n=n), counters=counters(bf16_flops=scale * flops(n)), kernels=(LIBRARY,),
                timing=Timing(*[1e-9 * n**exponent] * 3, runs=5),
            )
            for n in sizes
        )
    )  # fmt: skip
    return sweep


def coefficients(one: Growth | None) -> list[tuple[str, float, float, float]]:
    assert one is not None
    return [(t.power.text, float(t.derived), float(t.fitted.value), t.fitted.margin) for t in one.terms]


def test_torchs_own_counts_have_the_derived_coefficient() -> None:
    """QKᵀ and PV: 2 products of 2·n·n·64 FLOPs for each of 12 heads."""
    sweep = standard_sweep(300, 512, 1000, 4096)
    assert sweep.sizes == (300, 512, 1000, 4096)
    expected = 2 * 2 * 64 * 12
    assert coefficients(growth(sweep, "matmul_flops")) == [("n**2", expected, expected, 0)]


def test_a_wrong_coefficient_is_not_in_the_interval() -> None:
    one = growth(standard_sweep(300, 512, 1000, scale=2), "matmul_flops")
    assert one is not None
    assert [term.agrees for term in one.terms] == [False]


def test_noise_widens_the_interval() -> None:
    noisy = [
        measurement(case("standard", n=n), counters=counters(bf16_flops=int(flops(n) * share)), kernels=(LIBRARY,))
        for n, share in ((256, 1.01), (512, 0.99), (1024, 1.02), (2048, 0.98))
    ]
    one = growth(found(*noisy)[0], "matmul_flops")
    assert one is not None
    ((_, derived, fitted, margin),) = coefficients(one)
    assert 0 < abs(fitted - derived) <= margin < 0.1 * derived
    assert one.terms[0].agrees


def test_rounding_to_tiles_is_no_noise() -> None:
    """Flash computes tiles of 128 queries by 64 keys: an odd length counts as the next whole one, which the formula
    knows. What is measured beyond that shows.
    """

    def sweep(extra: int) -> Sweep:
        tiles = [(n, 12 * -(-n // 128) * -(-n // 64) * 4 * 128 * 64 * 64 + extra * n**2) for n in (500, 1000, 2049)]
        return found(*(measurement(case(n=n), counters=counters(bf16_flops=one), kernels=(OURS,))
                       for n, one in tiles))[0]  # fmt: skip

    exact, more = growth(sweep(0), "matmul_flops"), growth(sweep(1), "matmul_flops")
    assert coefficients(exact) == [("n**2", 3072, 3072, 0)]
    assert coefficients(more) == [("n**2", 3072, 3073, 0)]
    assert more is not None
    assert [term.agrees for term in more.terms] == [False]


def test_memory_grows_as_its_tensors_do() -> None:
    sweep = found(*(measurement(case(n=n), memory=Memory(4 * 2 * 12 * 64 * n, 4 * 2 * 12 * 64 * n, 4))
                    for n in (64, 100, 4096)))[0]  # fmt: skip
    assert coefficients(growth(sweep, "peak_bytes")) == [("n", 6144, 6144, 0)]
    assert growth(sweep, "matmul_flops") is None


def test_library_traffic_and_single_precision_are_not_fitted() -> None:
    sweep = standard_sweep(256, 512, 1024)
    assert [one.quantity for one in all_growth([sweep])] == ["matmul_flops"]
    single = [
        replace(point.measurement, case=replace(point.measurement.case, dtype="float32")) for point in sweep.points
    ]
    assert list(all_growth(found(*single))) == []


def test_the_slope_of_a_power_is_its_exponent() -> None:
    over = [(one.first, one.last, one.measured) for one in slopes(standard_sweep(256, 300, 512, 1100, 4096), TIME)]
    assert over == [(256, 512, pytest.approx(1.5)), (512, 1100, pytest.approx(1.5)), (1100, 4096, pytest.approx(1.5))]


def test_sweeps_differ_in_one_size_alone() -> None:
    def sized(**changes: Any) -> Measurement:
        return measurement(case("sliding-window", variant={"causal": True, "overlapping": True},
                                **({"n": 1024, "w": 64} | changes)))  # fmt: skip

    all_sizes = found(sized(), sized(n=2048), sized(w=128), sized(n=2048, w=128), sized(n=4096, w=128, d_h=128, h=6))
    assert [(one.symbol, one.sizes, one.last.size("w")) for one in all_sizes] == [
        ("n", (1024, 2048), 64), ("n", (1024, 2048), 128), ("w", (64, 128), 128), ("w", (64, 128), 128)
    ]  # fmt: skip
