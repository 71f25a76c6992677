"""The GPU as the measuring process sees it: allocator, clock, profiler brackets. Everything here needs CUDA."""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tfcost.measure.kernels import mark_kernel
from tfcost.measure.memory import Account

_LEAST_BUSY, _MOST_BUSY, _SLACK = 1.5e-3, 30e-3, 1.2
_CYCLES = 2e9
"""For how many seconds the GPU is kept busy while Python launches a pass, as long as that took the last time and some
slack; and cycles per second, at most.
"""


class Cuda:
    """The current CUDA device."""

    name = "cuda"
    out_of_memory: type[Exception] = torch.OutOfMemoryError

    def describe(self) -> dict[str, object]:
        """What the environment's record needs from torch."""
        import triton

        found = torch.cuda.get_device_properties(torch.cuda.current_device())
        return {
            "gpu": found.name, "cuda": torch.version.cuda or "", "torch": torch.__version__,
            "triton": triton.__version__, "memory_bytes": found.total_memory, "l2_bytes": found.L2_cache_size,
            "multiprocessors": found.multi_processor_count,
        }  # fmt: skip

    def synchronize(self) -> None:
        """Waits for the GPU; errors of its kernels are raised here."""
        torch.cuda.synchronize()

    def release(self) -> None:
        """Gives unused blocks back, so that the next case finds no holes."""
        torch.cuda.empty_cache()

    def allocator(self) -> "CudaAllocator":
        """The caching allocator."""
        return CudaAllocator()

    def clock(self) -> "CudaClock":
        """A clock that flushes L2."""
        return CudaClock()

    def mark(self, place: int) -> None:
        """Shows the profiler that case number `place` begins: a kernel with a name and that many programs."""
        self.profile(True)
        mark_kernel[(place + 1,)](torch.empty(1, dtype=torch.int32, device="cuda"))
        self.profile(False)

    def profile(self, on: bool) -> None:
        """The profiler counts kernels between `True` and `False`."""
        torch.cuda.synchronize()
        if on:
            torch.cuda.profiler.start()  # type: ignore[no-untyped-call]
        else:
            torch.cuda.profiler.stop()  # type: ignore[no-untyped-call]

    def begin_list(self) -> None:
        """Torch's profiler follows the kernels: it counts nothing, but needs no permission and knows their sizes."""
        torch.cuda.synchronize()
        self._list = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        self._list.start()

    def end_list(self) -> list[dict[str, Any]]:
        """The kernels launched since then, one by one."""
        torch.cuda.synchronize()
        self._list.stop()
        with TemporaryDirectory(prefix="tfcost-") as folder:
            path = Path(folder, "trace.json")
            self._list.export_chrome_trace(str(path))
            events = json.loads(path.read_text(encoding="utf-8", errors="replace"))["traceEvents"]
        return [{"name": event["name"], "registers": int(event["args"]["registers per thread"]),
                 "sram_bytes": int(event["args"]["shared memory"])}
                for event in events if event.get("cat") == "kernel"]  # fmt: skip


class CudaAllocator:
    """torch's caching allocator: blocks given out, rounded up, and the bytes that were asked for."""

    def current(self) -> Account:
        """What is alive now."""
        return self._account("current")

    def reset_peak(self) -> None:
        """Begins a new maximum."""
        torch.cuda.reset_peak_memory_stats()

    def peak(self) -> Account:
        """The most since then."""
        return self._account("peak")

    def _account(self, kind: str) -> Account:
        stats = torch.cuda.memory_stats()
        names = ("allocated_bytes", "requested_bytes", "allocation")
        return Account(*(int(stats.get(f"{name}.all.{kind}", 0)) for name in names))


class CudaClock:
    """CUDA events around the pass. Before it, a buffer of twice L2's size is written over, and the GPU is kept busy so
    long that Python has launched the kernels by then: their time is measured, not that of launching them (as far as the
    launch queue holds them).
    """

    def __init__(self) -> None:
        size = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
        self._buffer = torch.empty(2 * size, dtype=torch.int8, device="cuda")
        self._pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._busy, self._begun = _LEAST_BUSY, 0.0

    def start(self) -> None:
        """Flushes L2, then starts."""
        self._buffer.zero_()
        torch.cuda._sleep(int(self._busy * _CYCLES))  # type: ignore[no-untyped-call]
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        self._pairs.append((first, last))
        first.record()
        self._begun = time.perf_counter()

    def stop(self) -> None:
        """Stops."""
        self._pairs[-1][1].record()
        launching = time.perf_counter() - self._begun
        self._busy = min(_MOST_BUSY, max(_LEAST_BUSY, _SLACK * launching))

    def seconds(self) -> float:
        """Milliseconds of the events, as seconds."""
        torch.cuda.synchronize()
        total: float = sum(first.elapsed_time(last) for first, last in self._pairs) / 1e3
        self._pairs.clear()
        return total
