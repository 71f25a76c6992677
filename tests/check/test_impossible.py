"""Measurements above the ceilings of their own run are refused, with both numbers; those below stay."""

from typing import Any

from check.synthetic import case, counters, evidence, measurement

from tfcost.book import load_book
from tfcost.check.cells import IMPOSSIBLE, compare
from tfcost.evidence.record import Timing

BOOK = load_book()
# 4*b*h*n**2*d_h products of full attention, at n = 8192 with 12 heads of width 64; the ceiling is 8e14 FLOP/s.
FLOPS = 4 * 12 * 8192**2 * 64
ONE = case("flash", n=8192)


def outcome(seconds: float, one: Any = ONE, **changes: Any) -> tuple[str, ...]:
    found = measurement(one, timing=Timing(seconds, seconds, seconds, 10), **changes)
    return tuple(each.reason for each in compare(evidence(found), BOOK).unmatched if each.outcome == IMPOSSIBLE)


def test_more_products_than_the_gpu_can_do() -> None:
    fastest = FLOPS / 8e14
    counted = counters(bf16_flops=FLOPS)
    assert outcome(1.01 * fastest, counters=counted) == outcome(fastest / 1.04, counters=counted) == ()
    (reason,) = outcome(fastest / 2, counters=counted)
    assert "2.062e+11 bfloat16 FLOP of the tensor cores" in reason
    assert "1.6e+15 FLOP/s, above the measured ceiling of 8e+14 FLOP/s" in reason


def test_without_counters_the_formula_says_how_much_was_done() -> None:
    assert outcome(FLOPS / 8e14) == ()
    (reason,) = outcome(FLOPS / 16e14)
    assert "bfloat16 FLOP of matrix products" in reason


def test_more_bytes_than_the_memory_can_move() -> None:
    counted = counters(hbm_read_bytes=2 * 10**9, hbm_write_bytes=10**9)
    assert outcome(1e-3, counters=counted) == ()
    (reason,) = outcome(0.5e-3, counters=counted)
    assert "3e+09 bytes of device memory" in reason
    assert "6e+12 B/s, above the measured ceiling of 3e+12 B/s" in reason


def test_bytes_that_may_stay_in_l2_are_not_counted_against_it() -> None:
    # AdamW reads four and writes three numbers of 2 bytes per weight: 52 MB of L2 hold 3.7 million weights' worth.
    small, large = (case("transformer", scope="part", variant={"part": "adamw"}, N=size) for size in (10**6, 10**8))
    assert outcome(1e-6, small) == ()
    (reason,) = outcome(1e-6, large)
    assert "distinct bytes beyond L2" in reason


def test_no_time_or_no_ceilings_nothing_to_refuse() -> None:
    timed = measurement(ONE, timing=Timing(1e-9, 1e-9, 1e-9, 10))
    assert not compare(evidence(timed, ceilings=None), BOOK).unmatched
    assert not compare(evidence(measurement(ONE)), BOOK).unmatched


def test_the_committed_measurements_are_possible() -> None:
    from tfcost.evidence.read import committed_paths, read_evidence

    for path in committed_paths():
        assert not [one for one in compare(read_evidence(path), BOOK).unmatched if one.outcome == IMPOSSIBLE]
