"""A measuring process without a GPU: the real one's loop around a device that only pretends, and cases that go wrong.

What a case does is said by its size n: see `_PRANKS`. As the profiler's program it prints the profiler's rows itself.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tfcost.evidence.record import Ceilings
from tfcost.measure import child
from tfcost.measure.counters import METRICS
from tfcost.measure.job import Job
from tfcost.measure.memory import Account

KILLED, WRONG, TOO_LARGE, HANGS, BREAKS = 666, 667, 668, 669, 670
ENVIRONMENT = {"gpu": "Test GPU 1", "cuda": "13.0", "torch": "2.11.0", "triton": "3.6.0", "memory_bytes": 80 << 30,
               "l2_bytes": 50 << 20, "multiprocessors": 132}  # fmt: skip


def _break() -> None:
    Pretended.broken = True
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nand more")


def _raise(error: Exception) -> None:
    raise error


_PRANKS: dict[int, Callable[[], Any]] = {
    KILLED: lambda: os.kill(os.getpid(), signal.SIGKILL),
    WRONG: lambda: _raise(ValueError("wrong shape")),
    TOO_LARGE: lambda: _raise(MemoryError("tried to allocate 1 TiB")),
    HANGS: lambda: time.sleep(600),
    BREAKS: _break,
}


class Pretended:
    """A device whose memory grows by 1000 bytes in every pass and whose passes take 2 ms."""

    name = "cpu"
    out_of_memory = MemoryError
    broken = False

    def describe(self) -> dict[str, object]:
        return dict(ENVIRONMENT)

    def synchronize(self) -> None:
        if Pretended.broken:
            raise RuntimeError("CUDA error")

    def release(self) -> None:
        pass

    def allocator(self) -> "Pretended":
        self.asked = 0
        return self

    def clock(self) -> "Pretended":
        return self

    def current(self) -> Account:
        # What there is before arguments are made, then with them.
        self.asked += 1
        return Account(100, 90, 1) if self.asked == 1 else Account(2**30, 2**30, 3)

    def reset_peak(self) -> None:
        pass

    def peak(self) -> Account:
        return Account(1100, 990, 3)

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def seconds(self) -> float:
        return 0.002

    def mark(self, place: int) -> None:
        _row("mark_kernel", f"({place + 1}, 1, 1)")

    def profile(self, on: bool) -> None:
        if on:
            _row("some_kernel", "(7, 1, 1)")


def _row(kernel: str, grid: str) -> None:
    """A row of the profiler's table: every metric is its place in the list times 10."""
    values = ["1", kernel, grid, *(f"{10 * place:,}" for place in range(len(METRICS))), "40", "16", "1,024"]
    print(",".join(f'"{value}"' for value in values), flush=True)


def _program_of(case: Any, book: object, device: str) -> Any:
    def run(arguments: object, hooks: Any) -> None:
        _PRANKS.get(case.sizes["n"], time.time)()
        hooks.begin()
        hooks.left([50])
        hooks.end()

    return SimpleNamespace(prepare=dict, run=run)


def _self_test(device: Pretended) -> None:
    """Two cases that read what the environment says: by default what they must."""
    product, copied = os.environ.get("TEST_SELF_TEST", f"{2 * 2048**3} {64 << 20}").split()
    for place, bf16, bytes_ in ((0, product, "0"), (1, "0", copied)):
        device.mark(place)
        amounts = dict.fromkeys(METRICS, "0") | {"bf16_flops": bf16} | dict.fromkeys(("l2_read_bytes", "l2_write_bytes"), bytes_)  # fmt: skip  # noqa: E501
        print(",".join(f'"{value}"' for value in ["1", "k", "(1, 1, 1)", *amounts.values(), "1", "0", "0"]), flush=True)


if __name__ == "__main__":
    child.run_self_test = _self_test
    child.find_ceilings = lambda device: Ceilings({"bfloat16": 7e14}, 6e13, 3e12, 4e-6)
    child.serve(Job.read(Path(sys.argv[1])), Pretended(), _program_of)
