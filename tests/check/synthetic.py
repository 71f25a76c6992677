"""Evidence for tests, from numbers that tfcost did not make: counters of an H100 for flash attention, and what torch's
own counter and arithmetic by hand say of simple cases."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tfcost.book import Book
from tfcost.evidence.record import (
    Case,
    Ceilings,
    Counters,
    Environment,
    Evidence,
    Kernel,
    Measurement,
    Memory,
    Timing,
)
from tfcost.evidence.sources import source_hash

RECORDED = Path(__file__).parent.parent / "gpu" / "recorded" / "flash_counters.json"

ENVIRONMENT = Environment(
    gpu="NVIDIA H100 80GB HBM3", driver="580.1", cuda="13.0", torch="2.11.0", triton="3.6.0", python="3.12.3",
    tfcost="0.1.0", memory_bytes=85_000_000_000, l2_bytes=52_428_800, multiprocessors=132, sm_clock_mhz=1980,
    sm_clock_max_mhz=1980, memory_clock_mhz=2619, date="2026-11-25T12:00:00",
)  # fmt: skip
CEILINGS = Ceilings({"bfloat16": 8e14, "float16": 8e14, "float32": 5e13}, 5e13, 3e12, 2e-6)
OURS = Kernel("_forward", 1, 128, 91136, triton=True)


def counters(**changes: int) -> Counters:
    """Counters that are 0 but for `changes`."""
    return Counters(**(dict.fromkeys(Counters.__slots__, 0) | changes))


def measurement(case: Case, **changes: Any) -> Measurement:
    """A measurement of `case`, of the code that the book's hash in `changes` says ("" otherwise)."""
    return Measurement(case, **({"environment": 0, "source_hash": "", "date": "", "outcome": "measured"} | changes))


def evidence(*measurements: Measurement, ceilings: Ceilings | None = CEILINGS) -> Evidence:
    return Evidence((ENVIRONMENT,), (ceilings,), measurements)


def write(found: Evidence, path: Path) -> Path:
    path.write_bytes(TypeAdapter(Evidence).dump_json(found))
    return path


def case(technique: str = "flash", pass_: str = "forward", *, scope: str = "core", dtype: str = "bfloat16",
         variant: dict[str, Any] | None = None, **sizes: int) -> Case:  # fmt: skip
    """A case, by default of full attention with 12 heads of width 64."""
    sizes = {"b": 1, "h": 12, "d_h": 64} | sizes
    return Case(technique, scope, pass_, dtype, {"causal": False} if variant is None else variant, sizes)


def flash_measurements(book: Book) -> list[Measurement]:
    """The recorded counters. Backward kernels are known to use all registers; the memory of a forward pass is that of
    q, k, v and o, counted here by hand.
    """
    hashed = source_hash(book.record("flash").provenance.sources)
    found = []
    for one in json.loads(RECORDED.read_text())["cases"]:
        sizes = {name: one[name] for name in ("b", "h", "n", "d_h")}
        flops = {"bf16_flops" if one["dtype"] == "bfloat16" else "fp16_flops": one["measured"]["flops"]}
        given = 4 * 2 * one["b"] * one["h"] * one["n"] * one["d_h"]
        seconds = max(1e-3, one["measured"]["flops"] / 7e14)  # less than the ceilings allow
        kernels = (OURS,) if one["pass_"] == "forward" else (Kernel("_backward", 2, 255, 148480, triton=True),)
        found.append(
            measurement(
                case(pass_=one["pass_"], dtype=one["dtype"], variant={"causal": one["causal"]}, **sizes),
                source_hash=hashed,
                counters=counters(
                    **flops,
                    l2_read_bytes=one["measured"]["read"],
                    l2_write_bytes=one["measured"]["write"],
                    hbm_read_bytes=given * 3 // 4,
                    hbm_write_bytes=given // 4,
                ),
                kernels=kernels,
                memory=Memory(given, given, 4) if one["pass_"] == "forward" else None,
                timing=Timing(seconds, 0.9 * seconds, 2 * seconds, 50),
            )
        )
    return found
