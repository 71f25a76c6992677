"""Claims against made-up measurements whose growth and ratios are known."""

from fractions import Fraction
from typing import Any

import pytest
from check.synthetic import OURS, case, counters, evidence, measurement

from tfcost.book import load_book
from tfcost.check.claims import MeasuredClaim, measured_claims
from tfcost.check.sweeps import points
from tfcost.evidence.record import Measurement, Memory, Timing

BOOK = load_book()


def claims(technique: str, *measurements: Measurement) -> dict[str, MeasuredClaim]:
    found = measured_claims(BOOK, points(evidence(*measurements), BOOK), [technique])
    return {one.claim.quote: one for one in found}


def seconds(median: float) -> Timing:
    return Timing(median, median, median, 9)


def run(technique: str, n: int, time: float, memory: int, **changes: Any) -> Measurement:
    return measurement(case(technique, n=n, **changes), timing=seconds(time), memory=Memory(memory, memory, 4))


def test_nothing_measured_leaves_every_claim_open() -> None:
    found = measured_claims(BOOK, [])
    assert len(found) == sum(len(record.claims) for record in BOOK.techniques.values())
    assert {one.holds for one in found} == {None}
    assert [one.claim.section for one in found] == sorted(one.claim.section for one in found)


def test_flash_against_standard_by_pairs() -> None:
    found = claims(
        "flash",
        run("flash", 1024, 1.0, 300), run("standard", 1024, 2.0, 900),
        run("flash", 2048, 1.0, 300), run("standard", 2048, 4.0, 1000),
        run("flash", 4096, 1.0, 300), run("standard", 4096, 8.0, 2000),
        run("flash", 8192, 1.0, 300),
        run("standard", 4096, 1.0, 1, variant={"causal": True}), run("standard", 4096, 1.0, 1, d_h=128),
    )  # fmt: skip
    speed, memory = found["attention 3-5 times as fast"], found["about 70 % less memory"]
    assert [(one.run.values["n"], one.ratio, one.as_claimed) for one in speed.ratios] == [
        (1024, Fraction(1, 2), False), (2048, Fraction(1, 4), True), (4096, Fraction(1, 8), False)
    ]  # fmt: skip
    assert [(one.ratio, one.as_claimed) for one in memory.ratios] == [
        (Fraction(1, 3), True), (Fraction(3, 10), True), (Fraction(3, 20), False)
    ]  # fmt: skip
    assert (speed.scope, speed.holds, memory.holds) == ("core", False, False)


@pytest.mark.parametrize("split", [False, True], ids=["one step", "two passes"])
def test_recomputation_by_training_steps(split: bool) -> None:
    """A step measured as a whole, or as its two passes: FLOPs and times add up, memory is that of the higher one."""
    sizes = {"n": 512, "d": 768, "f": 3072, "h_kv": 12}

    def step(policy: str, flops: int, time: float, memory: int) -> list[Measurement]:
        variant = {"attention": "standard", "policy": policy}
        scope, passes = ("layer", ("forward", "backward")) if split else ("stack", ("train",))
        share = len(passes)
        return [
            measurement(
                case("recompute", one, scope=scope, variant=variant, **sizes, **({} if split else {"L": 4})),
                counters=counters(bf16_flops=flops // share), timing=seconds(time / share),
                memory=Memory(memory - 10 * (one == "forward"), memory, 9),
            )
            for one in passes
        ]  # fmt: skip

    found = claims("recompute", *step("none", 1000, 1.0, 1000), *step("layer", 1250, 1.5, 400))
    (work,), (memory,) = (one.ratios for one in found.values())
    assert (work.ratio, work.time, work.as_claimed) == (Fraction(5, 4), Fraction(3, 2), True)
    assert (memory.ratio, memory.as_claimed) == (Fraction(2, 5), True)


def moe(k: int, experts: int, flops: int) -> Measurement:
    sizes = {"n": 1024, "d": 768, "f": 3072, "E": experts, "k": k}
    return measurement(case("moe", scope="layer", variant={"routing": "balanced", "shared": 0}, **sizes),
                       counters=counters(bf16_flops=flops), kernels=(OURS,))  # fmt: skip


def test_experts_cost_more_with_k_whatever_is_stated() -> None:
    (time, _) = claims("moe", moe(2, 8, 1000), moe(4, 8, 2000), moe(2, 16, 1000)).values()
    slopes = {one.symbol: (one.measured, one.stated, one.as_claimed) for one in time.slopes}
    assert slopes == {"k": (pytest.approx(1), (-1, 0), False), "E": (pytest.approx(0), (0, 1), True)}
    assert time.holds is False


def test_a_window_is_judged_by_the_term_that_rules() -> None:
    """Tiles bend the slope in w far below 1, in the formula and in what it counts alike."""

    def window(w: int, flops: int | None = None) -> Measurement:
        sizes = {"n": 2**20, "w": w}
        rows, keys = 2**14, w // 64 + 1  # tiles of 64 queries; those of 64 keys that most of them see
        one = case("sliding-window", variant={"causal": True, "overlapping": True}, **sizes)
        counted = 12 * rows * keys * 4 * 64 * 64 * 64 if flops is None else flops
        return measurement(one, counters=counters(bf16_flops=counted), kernels=(OURS,))

    time = claims("sliding-window", window(128), window(512))["time O(nwd)"]
    (slope,) = time.slopes
    assert slope.measured == pytest.approx(slope.derived, abs=1e-3)
    assert slope.measured < 0.8
    assert (slope.power, slope.as_claimed) == (1, True)
    (other,) = claims("sliding-window", window(128, 1000), window(512, 1000))["time O(nwd)"].slopes
    assert (other.measured, other.as_claimed) == (0, False)


def test_a_step_of_decoding_grows_with_the_cache() -> None:
    def step(m: int) -> Measurement:
        one = case("kv-cache", "decode", variant={"cache": "full"}, m=m, h_kv=12)
        programs = 12 * -(-m // 128)
        return measurement(one, counters=counters(bf16_flops=4 * 16 * 128 * 64 * programs), kernels=(OURS,),
                           timing=seconds(1e-6 + 1e-9 * m), memory=Memory(1000 * m, 1000 * m, 6))  # fmt: skip

    (time, space) = claims("kv-cache", step(4096), step(8192), step(16384)).values()
    (slope,) = time.slopes
    assert (slope.symbol, slope.measured, slope.stated) == ("m", pytest.approx(1), (1, 1))
    assert slope.leading == (1, 0)
    assert slope.time is not None
    assert 0.9 < slope.time < 1
    assert (time.holds, space.holds) == (True, True)
