"""Flash attention's tensor-core FLOPs, counted by the GPU's own counters, against the formulas of the book.

Run: `python tests/gpu/tensor_core_flops.py --output flops.json`, with `tfcost` and `tfcost_kernels` importable and
Nsight Compute's `ncu` on the path. All cases run in one profiled child process. A product of known size is counted
first; if the counters are wrong there, nothing else is believed. Prints a table, exits 1 if a cell differs.
"""

import argparse
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from tfcost.book import load_book
from tfcost.cost import Cost
from tfcost_kernels.flash import flash_attention

COUNTERS = {
    "bfloat16": "sm__ops_path_tensor_src_bf16_dst_fp32.sum",
    "float16": "sm__ops_path_tensor_src_fp16.sum",
    "read": "l1tex__m_xbar2l1tex_read_bytes.sum",
    "write": "l1tex__m_l1tex2xbar_write_bytes.sum",
}
SELF_TEST_SIZE = 2048


@dataclass(frozen=True, slots=True)
class Case:
    """One run of the flash kernels: one forward launch, or the backward pass's three."""

    n: int
    d_h: int
    causal: bool
    pass_: str
    dtype: str
    b: int = 1
    h: int = 12

    @property
    def launches(self) -> int:
        """How many kernels the profiler sees."""
        return 1 if self.pass_ == "forward" else 3


def cases() -> Iterator[Case]:
    """Lengths on and off the tiles, both masks, head widths and passes."""
    for d_h in (64, 128):
        for causal in (False, True):
            for n in (513, 1000, 4096, 10000):
                for pass_ in ("forward", "backward"):
                    yield Case(n, d_h, causal, pass_, "bfloat16")
    yield Case(1000, 64, False, "forward", "float16")
    yield Case(10000, 128, True, "backward", "float16")


def run_child() -> None:
    """In the profiled process: the self-test, then every case, each bracketed for the profiler."""
    torch.manual_seed(0)
    square = torch.randn(SELF_TEST_SIZE, SELF_TEST_SIZE, device="cuda", dtype=torch.bfloat16)
    out = square @ square
    _profiled(lambda: torch.mm(square, square, out=out))
    for case in cases():
        shape, dtype = (case.b, case.h, case.n, case.d_h), getattr(torch, case.dtype)
        q, k, v, do = (torch.randn(shape, device="cuda").to(dtype) for _ in range(4))
        if case.pass_ == "forward":
            _profiled(lambda q=q, k=k, v=v, causal=case.causal: flash_attention(q, k, v, causal=causal))
            continue
        leaves = [tensor.requires_grad_() for tensor in (q, k, v)]
        o = flash_attention(*leaves, causal=case.causal)
        _profiled(lambda o=o, leaves=leaves, do=do: torch.autograd.grad(o, leaves, do))


def _profiled(function: Callable[[], object]) -> None:
    torch.cuda.synchronize()
    torch.cuda.profiler.start()
    function()
    torch.cuda.synchronize()
    torch.cuda.profiler.stop()


def count() -> list[dict[str, int]]:
    """The counters of every profiled launch, in order."""
    command = [
        "ncu", "--csv", "--page", "raw", "--print-units", "base", "--clock-control", "none",
        "--profile-from-start", "off", "--metrics", ",".join(COUNTERS.values()),
        sys.executable, __file__, "--child",
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in run.stdout.splitlines() if line.startswith('"')]
    if run.returncode or not lines:
        sys.exit(f"ncu failed ({run.returncode}):\n{run.stdout[-2000:]}\n{run.stderr[-2000:]}")
    # The line below the header holds units, and no launch.
    rows = [row for row in csv.DictReader(io.StringIO("\n".join(lines))) if row["ID"]]
    return [{name: _whole(row[metric]) for name, metric in COUNTERS.items()} for row in rows]


def _whole(text: str) -> int:
    value = float(text.replace(",", ""))
    if value != int(value):
        sys.exit(f"a counter is no integer: {text}")
    return int(value)


def derived(case: Case) -> dict[str, int]:
    """What the book says the case costs."""
    sizes = {"n": case.n, "m": case.n, "b": case.b, "h": case.h, "h_kv": case.h, "d_h": case.d_h}
    cost = load_book().find(
        "flash", scope="core", pass_=case.pass_, dtype=case.dtype, variant={"causal": case.causal}, values=sizes
    )
    amounts = {name: _value(cost, name, sizes) for name in ("read_bytes", "write_bytes")}
    flops = cost.quantities["matmul_flops"].exact.evaluate(sizes)
    return {"flops": int(flops), "read": amounts["read_bytes"], "write": amounts["write_bytes"]}


def _value(cost: Cost, amount: str, sizes: Mapping[str, int]) -> int:
    amounts = (step.amounts[amount] for step in cost.steps if amount in step.amounts)
    return int(sum(formula.evaluate(sizes) for formula in amounts))


def compare(counted: list[dict[str, int]]) -> list[dict[str, object]]:
    """Every case with what was derived and counted."""
    first, *launches = counted
    wanted = 2 * SELF_TEST_SIZE**3
    if first["bfloat16"] != wanted:
        sys.exit(f"self-test: a {SELF_TEST_SIZE}³ product reads {first['bfloat16']} FLOPs, not {wanted}")
    print(f"self-test: {SELF_TEST_SIZE}³ bf16 product reads {first['bfloat16']} FLOPs = 2·{SELF_TEST_SIZE}³")
    found: list[dict[str, object]] = []
    for case in cases():
        mine, launches = launches[: case.launches], launches[case.launches :]
        counts = {name: sum(launch[name] for launch in mine) for name in COUNTERS}
        measured = {"flops": counts[case.dtype], "read": counts["read"], "write": counts["write"]}
        found.append({**asdict(case), "derived": derived(case), "measured": measured})
    if launches:
        sys.exit(f"{len(launches)} launches more were counted than the cases make")
    return found


def show(results: list[dict[str, object]]) -> bool:
    """Prints one line per case; whether every FLOP count is equal."""
    print(f"{'case':<42} {'FLOPs derived':>16} {'counted':>16} {'diff':>6}   {'bytes read diff':>16} {'written':>12}")
    right = True
    for row in results:
        derived_, measured = row["derived"], row["measured"]
        assert isinstance(derived_, dict)
        assert isinstance(measured, dict)
        off = {name: measured[name] - derived_[name] for name in measured}
        mask = "causal" if row["causal"] else "full"
        case = f"n={row['n']} d_h={row['d_h']} {mask} {row['pass_']} {row['dtype']}"
        print(f"{case:<42} {derived_['flops']:>16} {measured['flops']:>16} {off['flops']:>6}   "
              f"{off['read']:>16} {off['write']:>12}")  # fmt: skip
        right &= off["flops"] == 0
    equal = sum(row["derived"]["flops"] == row["measured"]["flops"] for row in results)  # type: ignore[index]
    print(f"tensor-core FLOPs equal in {equal} of {len(results)} cases")
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child()
        return 0
    results = compare(count())
    environment = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    if arguments.output:
        arguments.output.write_text(json.dumps({**environment, "cases": results}, indent=1))
    return 0 if show(results) else 1


if __name__ == "__main__":
    sys.exit(main())
