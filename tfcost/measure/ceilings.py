"""What the GPU does at best, measured in the same run: products per dtype, arithmetic, a copy, a launch."""

from collections.abc import Callable
from typing import Protocol

from tfcost.evidence.record import Ceilings
from tfcost.measure.timing import Clock, TimeHooks, time_runs

_SIZE = 8192
_COPIED = 1 << 30
_LAUNCHES = 1000
_WIDTH, _SUMS, _TURNS = 128, 32, 2048


class Timed(Protocol):
    """The part of a device that is needed."""

    name: str

    def clock(self) -> Clock:
        """Its clock."""


def find_ceilings(device: Timed) -> Ceilings:
    """All of them, on a GPU. Products in float32 are torch's own, without tf32; "tf32" is the same with it."""
    clock = device.clock()
    products = {name: 2 * _SIZE**3 / _product(name, clock) for name in ("bfloat16", "float16", "float32", "tf32")}
    return Ceilings(products, _arithmetic(clock), _copy(clock), _launch(clock))


def _seconds(work: Callable[[], object], clock: Clock) -> float:
    """The median time of `work`, which has run once before."""

    def run(hooks: TimeHooks) -> None:
        hooks.begin()
        work()
        hooks.end()

    work()
    return time_runs(run, clock).median


def _product(name: str, clock: Clock) -> float:
    import torch

    dtype = torch.float32 if name == "tf32" else getattr(torch, name)
    a, b = (torch.randn(_SIZE, _SIZE, device="cuda", dtype=dtype) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    try:
        return _seconds(lambda: a @ b, clock)
    finally:
        torch.set_float32_matmul_precision(before)


def _arithmetic(clock: Clock) -> float:
    """FLOP/s of fused multiply-adds in fp32."""
    import torch

    from tfcost.measure.kernels import arithmetic_kernel

    programs = 16 * torch.cuda.get_device_properties(torch.cuda.current_device()).multi_processor_count
    out = torch.empty(programs * _WIDTH, device="cuda")
    seconds = _seconds(lambda: arithmetic_kernel[(programs,)](out, _TURNS, WIDTH=_WIDTH, SUMS=_SUMS), clock)
    return 2 * programs * _WIDTH * _SUMS * _TURNS / seconds


def _copy(clock: Clock) -> float:
    """B/s, read and written."""
    import torch

    source = torch.randn(_COPIED // 4, device="cuda")
    target = torch.empty_like(source)
    return 2 * _COPIED / _seconds(lambda: target.copy_(source), clock)


def _launch(clock: Clock) -> float:
    """Seconds from one small kernel to the next, as torch starts them."""
    import torch

    tensor = torch.ones(1, device="cuda")

    def work() -> None:
        for _ in range(_LAUNCHES):
            tensor.neg_()

    return _seconds(work, clock) / _LAUNCHES
