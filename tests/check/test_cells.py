"""Cells against an H100's recorded counters, torch's own counter and memory counted by hand."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from check.synthetic import CEILINGS, OURS, case, counters, evidence, flash_measurements, measurement
from torch.utils.flop_counter import FlopCounterMode

from tfcost.book import load_book
from tfcost.check.cells import Cell, compare
from tfcost.evidence.record import Case, Kernel, Measurement, Memory, Timing
from tfcost.techniques import standard

BOOK = load_book()
LIBRARY = Kernel("ampere_bf16_s16816gemm", 2, 200, 49152, triton=False)


def cells_of(*measurements: Measurement) -> dict[str, Cell]:
    return {cell.quantity: cell for cell in compare(evidence(*measurements), BOOK).cells}


def test_recorded_tensor_core_flops_are_equal() -> None:
    found = compare(evidence(*flash_measurements(BOOK)), BOOK)
    flops = [cell for cell in found.cells if cell.quantity == "matmul_flops"]
    assert len(flops) == 26
    assert {(cell.difference, cell.within, cell.rule) for cell in flops} == {(0, True, "equal")}


def test_recorded_bytes_are_equal_forward_and_explained_backward() -> None:
    found = compare(evidence(*flash_measurements(BOOK)), BOOK)
    traffic = [cell for cell in found.cells if cell.quantity == "issued_bytes"]
    assert {(cell.rule, cell.within) for cell in traffic if cell.case.pass_ == "forward"} == {("equal", True)}
    backward = Counter((cell.rule, cell.within) for cell in traffic if cell.case.pass_ == "backward")
    assert backward.keys() <= {("equal", True), ("sectors and L1", True)}
    assert sum(backward.values()) == 9


def test_memory_of_the_forward_kernel_is_that_of_its_tensors() -> None:
    found = compare(evidence(*flash_measurements(BOOK)), BOOK)
    peaks = [cell for cell in found.cells if cell.quantity == "peak_bytes"]
    assert [(cell.difference, cell.within) for cell in peaks] == [(0, True)] * 17


def torch_flops(one: Case) -> int:
    """What torch's own counter says of standard attention's forward pass at the case's sizes."""
    shape = [one.sizes[name] for name in ("b", "h", "n", "d_h")]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        standard.attention(torch.empty(shape), torch.empty(shape), torch.empty(shape))
    return int(counter.get_total_flops())


@pytest.mark.parametrize("n", [512, 1000])
def test_a_library_may_fill_up_its_tiles_and_no_more(n: int) -> None:
    one = case("standard", n=n)
    exact = torch_flops(one)
    # Tiles of at most 256 rows; a head's 64 need none that are larger.
    padded = exact * max(-(-n // side) * side for side in range(32, 385, 32)) ** 2 // n**2

    def verdict(flops: int) -> tuple[str, bool | None]:
        cell = cells_of(measurement(one, counters=counters(bf16_flops=flops), kernels=(LIBRARY,)))["matmul_flops"]
        assert cell.derived == exact
        return cell.rule, cell.within

    assert verdict(exact) == ("equal", True)
    assert verdict(padded) == ("library tiles", True)
    assert verdict(exact - 2) == ("library tiles", False)
    assert verdict(padded + 2) == ("library tiles", False)


def test_products_by_a_vector_count_where_they_run() -> None:
    one = case("kv-cache", "decode", scope="layer", variant={"cache": "full"}, m=512, d=768, h_kv=12)
    kernel = Kernel("gemvNSP_kernel", 4, 40, 0, triton=False)
    derived = cells_of(measurement(one, counters=counters(), kernels=(kernel,)))["matmul_flops"].derived
    projections = 4 * 2 * 768 * 768
    on_tensor_cores = int(derived) - projections

    def within(fma: int, flops: int = on_tensor_cores) -> bool | None:
        found = measurement(one, counters=counters(bf16_flops=flops, fp32_fma=fma), kernels=(kernel,))
        return cells_of(found)["matmul_flops"].within

    assert (within(projections // 2), within(projections // 2 - 1), within(0, int(derived))) == (True, False, True)


def test_single_precision_and_library_traffic_decide_nothing() -> None:
    one = case("standard", n=512, dtype="float32")
    found = cells_of(measurement(one, counters=counters(fp32_fma=5, l2_read_bytes=3), kernels=(LIBRARY,)))
    assert (found["matmul_flops"].rule, found["matmul_flops"].within) == ("single precision", None)
    assert (found["issued_bytes"].rule, found["issued_bytes"].within) == ("library kernels", None)


def peak(allocated: int, requested: int, blocks: int = 4, n: int = 1000) -> tuple[str, bool | None]:
    memory = Memory(allocated, requested, blocks)
    cell = cells_of(measurement(case(n=n), memory=memory))["peak_bytes"]
    assert cell.derived == 4 * 2 * 12 * n * 64
    return cell.rule, cell.within


def test_the_allocator_may_round_but_not_hide() -> None:
    exact = 4 * 2 * 12 * 1000 * 64
    assert peak(exact + 4 * 512, exact) == ("rounded blocks", True)
    assert peak(exact + 4 * 512 + 1, exact) == ("unsplit block", True)
    assert peak(exact + 4 * 2**20 + 1, exact) == ("unsplit block", False)
    assert peak(exact + 1024, exact + 1024) == ("512 bytes per block", True)
    assert peak(exact - 4096, exact - 4096) == ("512 bytes per block", False)
    assert peak(exact + 2**20, exact + 2**20) == ("512 bytes per block", False)
    small = exact // 1000
    assert peak(small + 8, small + 8, n=1) == ("512 bytes per block", False)


def test_device_memory_traffic_counts_from_four_times_l2_on() -> None:
    def found(n: int, read: float, written: float = 1.0, launches: int = 1) -> tuple[str, bool | None]:
        each = 2 * 12 * n * 64
        counted = counters(hbm_read_bytes=int(3 * each * read), l2_write_bytes=int(each * written))
        one = measurement(case(n=n), counters=counted, kernels=(replace(OURS, launches=launches),))
        cell = cells_of(one)["unique_bytes"]
        return cell.rule, cell.within

    assert found(16384, 1.0) == ("fits in L2", None)
    assert [found(65536, share)[1] for share in (0.94, 0.96, 1.0, 1.04, 1.06)] == [False, True, True, True, False]
    assert [found(65536, share, launches=2)[1] for share in (0.94, 0.96, 3.0)] == [False, True, True]
    assert found(65536, 1.0, written=1.5)[1] is False


def test_time_is_a_roofline_of_the_ceilings_of_the_same_run() -> None:
    n = 16384
    one = measurement(case(n=n), timing=Timing(3e-3, 2e-3, 4e-3, 9))
    cell = cells_of(one)["time"]
    assert cell.derived == pytest.approx(4 * 12 * n**2 * 64 / CEILINGS.matmul_flops["bfloat16"] + 2e-6, rel=0.02)
    assert (cell.measured, cell.within) == (3e-3, None)
    assert compare(evidence(one, ceilings=None), BOOK).cells == ()


def test_sizes_outside_the_assumptions_decide_nothing() -> None:
    for broken in ({"n": 512, "m": 256}, {"n": 510, "s": 4}, {"n": 512, "k": 128}):
        sizes = {"n": 512, "m": broken["n"], "s": 4, "k": 129} | broken
        one = measurement(case("dilated", variant={"causal": False}, **sizes), memory=Memory(1, 1, 1))
        cell = cells_of(one)["peak_bytes"]
        assert (cell.rule, cell.within) == ("outside the assumptions", None)


def test_a_whole_model_is_composed_of_its_configuration() -> None:
    fields = {"name": "small", "n": "512", "d": "256", "h": "4", "L": "2", "ffn": "relu", "causal": True}
    one = Case("model", "model", "forward", "bfloat16", {"config": "small"}, {"n": 512, "b": 1}, model=fields)
    projections, network, scores = 4 * 2 * 512 * 256**2, 2 * 2 * 512 * 256 * 1024, 2 * 2 * 512**2 * 256
    expected = 2 * (projections + network + scores)
    found = cells_of(measurement(one, counters=counters(bf16_flops=expected), kernels=(LIBRARY,),
                                 timing=Timing(1.0, 1.0, 1.0, 3)))  # fmt: skip
    assert (found["matmul_flops"].derived, found["matmul_flops"].within) == (expected, True)
    assert found["time"].derived > expected / CEILINGS.matmul_flops["bfloat16"]


def test_cases_without_a_cell_are_told() -> None:
    found = compare(
        evidence(
            measurement(case(n=10**7), outcome="out of memory", reason="too large"),
            measurement(case("flush", n=64)),
            measurement(case(n=64, d_h=80)),
            measurement(Case("flash", "core", "forward", "bfloat16", {"causal": False}, {"n": 64, "d_h": 64})),
        ),
        BOOK,
    )
    assert found.cells == ()
    assert [one.outcome for one in found.unmatched] == ["out of memory", *["no formula"] * 3]
    assert "did you mean 'flash'?" in found.unmatched[1].reason
    assert "derived for d_h = 64, 128" in found.unmatched[2].reason
    assert "no size for b, h" in found.unmatched[3].reason


def test_techniques_can_be_picked() -> None:
    both = evidence(measurement(case(n=64), memory=Memory(1, 1, 1)),
                    measurement(case("standard", n=64), memory=Memory(1, 1, 1)))  # fmt: skip
    assert {cell.case.technique for cell in compare(both, BOOK, ["standard"]).cells} == {"standard"}


def test_on_chip_memory_is_that_of_the_largest_program() -> None:
    kernels = (OURS, replace(OURS, sram_bytes=100), LIBRARY)
    cell = cells_of(measurement(case(n=64), kernels=kernels))["sram_bytes"]
    assert (cell.measured, cell.within) == (91136, None)
