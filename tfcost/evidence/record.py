"""What was measured: the record that `measure` writes and `verify` reads. No torch, no GPU.

A case is one technique (or one model) run once in one pass at given sizes; each kind of figure is there if it was
asked for and could be taken. All bytes are bytes, all times seconds, all counters totals over the case's kernels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

SCHEMA_VERSION = 1

OptionValue = bool | int | str
Outcome = Literal["measured", "out of memory", "failed"]


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine as it was found: clocks in MHz at the start of the run, and the most the GPU would go to."""

    gpu: str
    driver: str
    cuda: str
    torch: str
    triton: str
    python: str
    tfcost: str
    memory_bytes: int
    l2_bytes: int
    multiprocessors: int
    sm_clock_mhz: int
    sm_clock_max_mhz: int
    memory_clock_mhz: int
    date: str


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the GPU did at best in this run: FLOP/s per dtype, B/s of a copy (read + written), seconds per launch."""

    matmul_flops: Mapping[str, float]
    scalar_flops: float
    bandwidth: float
    launch_seconds: float


@dataclass(frozen=True, slots=True)
class Case:
    """What is run. `variant` holds the technique's options, `sizes` every symbol of the book's cost.

    For a whole model `technique` is "model", `variant` {"config": its name} and `model` the configuration itself, as
    the configuration file says it; `pass_` is then forward, train or decode.
    """

    technique: str
    scope: str
    pass_: str
    dtype: str
    variant: Mapping[str, OptionValue]
    sizes: Mapping[str, int]
    seed: int = 0
    model: Mapping[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """One line that no other case has."""
        options = ",".join(f"{name}={str(value).lower()}" for name, value in sorted(self.variant.items()))
        sizes = ",".join(f"{name}={value}" for name, value in sorted(self.sizes.items()))
        return f"{self.technique}/{self.scope}/{self.pass_}/{self.dtype} [{options}] [{sizes}] seed={self.seed}"


@dataclass(frozen=True, slots=True)
class Counters:
    """The hardware's own counts over the kernels of one case.

    FLOPs per type of tensor-core operand; fp32 instructions of single threads (a fused multiply-add is one `fp32_fma`
    and two FLOPs), None where a case has too many kernels to count them; bytes between the multiprocessors and L2, and
    between L2 and device memory. Of spilled registers (local memory): what was read back past L1, and what was written
    at all.
    """

    bf16_flops: int
    fp16_flops: int
    tf32_flops: int
    l2_read_bytes: int
    l2_write_bytes: int
    hbm_read_bytes: int
    hbm_write_bytes: int
    local_read_bytes: int = 0
    local_write_bytes: int = 0
    fp32_add: int | None = None
    fp32_mul: int | None = None
    fp32_fma: int | None = None

    @property
    def tensor_flops(self) -> int:
        """FLOPs of all tensor-core types."""
        return self.bf16_flops + self.fp16_flops + self.tf32_flops


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel of a case by name: launches, registers per thread, and on-chip bytes per program."""

    name: str
    launches: int
    registers: int
    sram_bytes: int
    triton: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """What the allocator held at most in the pass, arguments included, and what forward left for backward.

    `requested` ones are what the program asked for; the others are rounded up per block. `blocks` is the most blocks
    that were alive at once.
    """

    peak_bytes: int
    requested_peak_bytes: int
    blocks: int
    saved_bytes: int | None = None
    requested_saved_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: the median of `runs` runs, and the 20th and 80th percentile."""

    median: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One case and what was found. `environment` is its place in the evidence's list, `source_hash` that of the code
    that ran; `temperature` in °C and `throttle` (why the clock was held down, "" if it was not) during the timing.
    """

    case: Case
    environment: int
    source_hash: str
    date: str
    outcome: Outcome
    reason: str = ""
    counters: Counters | None = None
    kernels: Sequence[Kernel] = ()
    memory: Memory | None = None
    timing: Timing | None = None
    temperature: int | None = None
    throttle: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was measured on one kind of GPU. `ceilings` stand at the place of the environment they belong to."""

    environments: tuple[Environment, ...]
    ceilings: tuple[Ceilings | None, ...]
    measurements: tuple[Measurement, ...]
    schema_version: int = SCHEMA_VERSION
