"""Nsight Compute: its command line, and from the CSV that it prints to counters and kernels per case.

Kernels stand in the order of their launches. Before those of a case comes a mark, a kernel of ours whose number of
programs is one more than the case's number. Metrics are read by their full name: there are aggregates with like names.
"""

import csv
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tfcost.errors import CannotMeasure
from tfcost.evidence.record import Counters, Kernel

MARK = "mark_kernel"

METRICS: dict[str, str] = {
    "bf16_flops": "sm__ops_path_tensor_src_bf16_dst_fp32.sum",
    "fp16_flops": "sm__ops_path_tensor_src_fp16.sum",
    "tf32_flops": "sm__ops_path_tensor_src_tf32_dst_fp32.sum",
    "fp32_add": "smsp__sass_thread_inst_executed_op_fadd_pred_on.sum",
    "fp32_mul": "smsp__sass_thread_inst_executed_op_fmul_pred_on.sum",
    "fp32_fma": "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum",
    "l2_read_bytes": "l1tex__m_xbar2l1tex_read_bytes.sum",
    "l2_write_bytes": "l1tex__m_l1tex2xbar_write_bytes.sum",
    "hbm_read_bytes": "dram__bytes_read.sum",
    "hbm_write_bytes": "dram__bytes_write.sum",
    "local_read_bytes": "l1tex__t_bytes_pipe_lsu_mem_local_op_ld_lookup_miss.sum",
    "local_write_bytes": "l1tex__t_bytes_pipe_lsu_mem_local_op_st.sum",
}
"""The metric behind each field of `Counters`."""

_REGISTERS = "launch__registers_per_thread"
_SHARED = ("launch__shared_mem_per_block_static", "launch__shared_mem_per_block_dynamic")
_NO_PERMISSION = "ERR_NVGPUCTRPERM"
_HOW_TO_PERMIT = (
    "the driver shows counters to administrators alone (ERR_NVGPUCTRPERM): run as root, give the container "
    "CAP_SYS_ADMIN, or load the nvidia module with NVreg_RestrictProfilingToAdminUsers=0; "
    "--no-counters measures memory and time without them"
)


def ncu_command(ncu: str, program: Sequence[str]) -> list[str]:
    """The command that profiles `program` and prints every metric of every kernel as CSV. No clock is touched."""
    metrics = ",".join([*METRICS.values(), _REGISTERS, *_SHARED])
    return [
        ncu, "--csv", "--page", "raw", "--print-units", "base", "--clock-control", "none",
        "--profile-from-start", "off", "--metrics", metrics, *program,
    ]  # fmt: skip


def find_ncu() -> str:
    """Where Nsight Compute's command line is. CannotMeasure if it is not on the path."""
    found = shutil.which("ncu")
    if found is None:
        raise CannotMeasure("Nsight Compute's 'ncu' is not on the path: install it (it comes with the CUDA toolkit) or "
                            "measure memory and time alone with --no-counters")  # fmt: skip
    return found


@dataclass
class Profile:
    """What the profiler saw of one case."""

    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(METRICS, 0))
    kernels: dict[str, Kernel] = field(default_factory=dict)

    @property
    def counters(self) -> Counters:
        """The totals over all kernels."""
        return Counters(**self.totals)


def parse_profile(output: str, triton_kernels: Iterable[str] = ()) -> dict[int, Profile]:
    """The profile of every case in ncu's `output`, by the case's number. Kernels called as in `triton_kernels` are
    Triton's. CannotMeasure if the output holds no permission, or no table with the metrics.
    """
    explain_failure(output)
    lines = [line for line in output.splitlines() if line.startswith('"')]
    rows = [row for row in csv.DictReader(lines) if row["ID"]]
    ours = frozenset(triton_kernels)
    found: dict[int, Profile] = {}
    current = None
    for row in rows:
        name = row["Kernel Name"]
        if name.startswith(MARK):
            current = found.setdefault(_first_number(row["Grid Size"]) - 1, Profile())
        elif current is not None:
            _add(current, name, row, ours)
    return found


def explain_failure(output: str) -> None:
    """CannotMeasure if ncu says that it may not or cannot count."""
    if _NO_PERMISSION in output:
        raise CannotMeasure(_HOW_TO_PERMIT)
    unknown = re.search(r"==ERROR== .*metric.*", output, re.IGNORECASE)
    if unknown:
        raise CannotMeasure(f"Nsight Compute does not know a metric on this GPU: {unknown[0][:300]}")


def _add(profile: Profile, name: str, row: Mapping[str, str], triton_kernels: frozenset[str]) -> None:
    for field_name, metric in METRICS.items():
        profile.totals[field_name] += whole(row[metric])
    before = profile.kernels.get(name, Kernel(name, 0, 0, 0, name in triton_kernels))
    profile.kernels[name] = Kernel(
        name=name,
        launches=before.launches + 1,
        registers=max(before.registers, whole(row[_REGISTERS])),
        sram_bytes=max(before.sram_bytes, sum(whole(row[metric]) for metric in _SHARED)),
        triton=before.triton,
    )


def whole(text: str) -> int:
    """The whole number that ncu prints ("1,234"). CannotMeasure if it is none: units other than bytes, or no value."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        raise CannotMeasure(f"Nsight Compute gives no number for a metric: '{text[:60]}'") from None
    if value != int(value):
        raise CannotMeasure(f"a counter is no whole number: {text}")
    return int(value)


def _first_number(text: str) -> int:
    found = re.search(r"\d+", text)
    if found is None:
        raise CannotMeasure(f"Nsight Compute gives no grid: '{text[:60]}'")
    return int(found[0])
