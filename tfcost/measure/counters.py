"""Nsight Compute: its command lines, and from the CSV that it prints to the amounts of every case.

Whole passes are counted by range replay: what the hardware counts by itself, one row per pass, in the order they ran
in. Single kernels are counted by kernel replay: fp32 instructions, for which the profiler changes the kernels, and
the rest where a pass cannot be replayed as a whole. Their rows stand in the order of launches, and before those of a
case comes a mark, a kernel of ours whose number of programs is one more than the case's number. Metrics are read by
their full name: there are aggregates with like names.
"""

import csv
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tfcost.errors import CannotMeasure
from tfcost.measure.job import Profiled

MARK = "mark_kernel"

HARDWARE: dict[str, str] = {
    "bf16_flops": "sm__ops_path_tensor_src_bf16_dst_fp32.sum",
    "fp16_flops": "sm__ops_path_tensor_src_fp16.sum",
    "tf32_flops": "sm__ops_path_tensor_src_tf32_dst_fp32.sum",
    "l2_read_bytes": "l1tex__m_xbar2l1tex_read_bytes.sum",
    "l2_write_bytes": "l1tex__m_l1tex2xbar_write_bytes.sum",
    "hbm_read_bytes": "dram__bytes_read.sum",
    "hbm_write_bytes": "dram__bytes_write.sum",
    "local_read_bytes": "l1tex__t_bytes_pipe_lsu_mem_local_op_ld_lookup_miss.sum",
    "local_write_bytes": "l1tex__t_bytes_pipe_lsu_mem_local_op_st.sum",
}
INSTRUCTIONS: dict[str, str] = {
    "fp32_add": "smsp__sass_thread_inst_executed_op_fadd_pred_on.sum",
    "fp32_mul": "smsp__sass_thread_inst_executed_op_fmul_pred_on.sum",
    "fp32_fma": "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum",
}
"""The metric behind each field of `Counters`: those of whole passes, and those of single kernels."""

# The mark is bracketed like a pass.
_SINGLE = ("--replay-mode", "kernel", "--profile-from-start", "off")
_WAYS: dict[Profiled, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "passes": (HARDWARE, ("--replay-mode", "range")),
    "instructions": (INSTRUCTIONS, _SINGLE),
    "kernels": (HARDWARE, _SINGLE),
}
_NO_PERMISSION = "ERR_NVGPUCTRPERM"
_HOW_TO_PERMIT = (
    "the driver shows counters to administrators alone (ERR_NVGPUCTRPERM): run as root, give the container "
    "CAP_SYS_ADMIN, or load the nvidia module with NVreg_RestrictProfilingToAdminUsers=0; "
    "--no-counters measures memory and time without them"
)

Amounts = dict[str, int]


def ncu_command(ncu: str, way: Profiled, program: Sequence[str]) -> list[str]:
    """The command that profiles `program` and prints the metrics of that `way` as CSV. No clock is touched."""
    metrics, options = _WAYS[way]
    return [
        ncu, "--csv", "--page", "raw", "--print-units", "base", "--clock-control", "none", *options,
        "--metrics", ",".join(metrics.values()), *program,
    ]  # fmt: skip


def find_ncu() -> str:
    """Where Nsight Compute's command line is. CannotMeasure if it is not on the path."""
    found = shutil.which("ncu")
    if found is None:
        raise CannotMeasure("Nsight Compute's 'ncu' is not on the path: install it (it comes with the CUDA toolkit) or "
                            "measure memory and time alone with --no-counters")  # fmt: skip
    return found


def amounts_of_passes(output: str, told: Iterable[tuple[int, int]]) -> dict[int, Amounts]:
    """The sums over the passes of every case in ncu's `output`. `told` are the cases' numbers, each with how many
    passes it had, in the order in which they ran; one whose rows are not all there is left out. CannotMeasure if the
    output holds no permission, or no table with the metrics.
    """
    rows = list(_rows(output))
    found: dict[int, Amounts] = {}
    first = 0
    for place, passes in told:
        own = rows[first : first + passes]
        first += passes
        if len(own) == passes:
            found[place] = _summed(own, HARDWARE)
    return found


def amounts_of_kernels(output: str, way: Profiled) -> dict[int, Amounts]:
    """The same over the kernels between one case's mark and the next, counted in that `way`."""
    kernels: dict[int, list[Mapping[str, str]]] = {}
    current: list[Mapping[str, str]] = []
    for row in _rows(output):
        if row["Kernel Name"].startswith(MARK):
            current = kernels.setdefault(_first_number(row["Grid Size"]) - 1, [])
        else:
            current.append(row)
    return {place: _summed(rows, _WAYS[way][0]) for place, rows in kernels.items()}


def _rows(output: str) -> Iterator[Mapping[str, str]]:
    """The table's rows; the first one holds units."""
    explain_failure(output)
    lines = [line for line in output.splitlines() if line.startswith('"')]
    return (row for row in csv.DictReader(lines) if row["ID"])


def _summed(rows: Sequence[Mapping[str, str]], metrics: Mapping[str, str]) -> Amounts:
    return {name: sum(whole(row[metric]) for row in rows) for name, metric in metrics.items()}


def explain_failure(output: str) -> None:
    """CannotMeasure if ncu says that it may not or cannot count."""
    if _NO_PERMISSION in output:
        raise CannotMeasure(_HOW_TO_PERMIT)
    unknown = re.search(r"==ERROR== .*metric.*", output, re.IGNORECASE)
    if unknown:
        raise CannotMeasure(f"Nsight Compute does not know a metric on this GPU: {unknown[0][:300]}")


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
