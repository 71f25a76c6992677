"""Flash attention on a CUDA GPU: is it right, how fast is it, and (--tune) which tiles are fastest.

Run: `python tests/gpu/check_flash.py --output flash.json [--tune [--widths 64,128]]`; `tfcost_kernels` must be
importable. Prints compact tables, writes everything to the JSON file, exits 1 if any result is wrong.
Times are medians of `triton.testing.do_bench`; TFLOP/s are algorithmic: 4*d_h per allowed pair forward, 2.5 times
that backward, whatever an implementation executes.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import triton
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from triton.testing import do_bench

from tfcost_kernels.common.gradients import launch_delta
from tfcost_kernels.flash import flash_attention
from tfcost_kernels.flash.attention import launch_dk_dv, launch_dq, launch_forward
from tfcost_kernels.flash.reference import attention_reference
from tfcost_kernels.flash.tiles import Tile, tiles_for

SPEED_SHAPES = ((4, 16, 4096, 128), (1, 16, 16384, 128), (4, 32, 4096, 64), (1, 12, 10000, 64))
TUNE_SHAPES = {16: (4, 32, 4096), 32: (4, 32, 4096), 64: (4, 32, 4096), 128: (4, 16, 4096), 256: (4, 8, 4096)}
CANDIDATES = {
    "forward": [
        (64, 64, 4, 2), (64, 64, 4, 3), (64, 128, 4, 2), (64, 128, 4, 3), (128, 32, 4, 3), (128, 32, 8, 3),
        (128, 64, 4, 2), (128, 64, 4, 3), (128, 64, 4, 4), (128, 64, 8, 2), (128, 64, 8, 3), (128, 64, 8, 4),
        (128, 128, 4, 2), (128, 128, 8, 2), (128, 128, 8, 3), (256, 64, 8, 2), (256, 64, 8, 3),
    ],
    "dk_dv": [
        (16, 64, 8, 2), (32, 64, 4, 2), (32, 64, 4, 3), (32, 64, 8, 2), (32, 64, 8, 3), (32, 128, 4, 2),
        (32, 128, 8, 2), (32, 128, 8, 3), (64, 64, 4, 2), (64, 64, 4, 3), (64, 64, 8, 2), (64, 128, 4, 2),
        (64, 128, 8, 1), (64, 128, 8, 2), (64, 128, 8, 3), (128, 64, 8, 2), (128, 128, 8, 2),
    ],
    "dq": [
        (64, 32, 4, 2), (64, 32, 4, 3), (64, 64, 4, 2), (64, 64, 4, 3), (64, 128, 4, 2), (64, 128, 8, 2),
        (128, 32, 4, 3), (128, 32, 8, 2), (128, 32, 8, 3), (128, 64, 4, 2), (128, 64, 8, 2), (128, 64, 8, 3),
        (128, 64, 8, 4), (128, 128, 8, 2),
    ],
}  # fmt: skip


class Candidate(NamedTuple):
    """One kernel with one tile at the width's shape in TUNE_SHAPES."""

    width: int
    kernel: str
    causal: bool
    tile: Tile


def random_inputs(
    b: int, h: int, h_kv: int, n: int, m: int, d_h: int, dtype: torch.dtype = torch.bfloat16
) -> list[Tensor]:
    """q, k, v, dO."""
    torch.manual_seed(0)
    shapes = ((b, h, n, d_h), (b, h_kv, m, d_h), (b, h_kv, m, d_h), (b, h, n, d_h))
    return [torch.randn(shape, device="cuda").to(dtype) for shape in shapes]


def outputs_and_gradients(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, do: Tensor) -> list[Tensor]:
    """O, dQ, dK, dV."""
    leaves = [tensor.detach().requires_grad_() for tensor in (q, k, v)]
    o = attend(*leaves)
    return [o.detach(), *torch.autograd.grad(o, leaves, do.to(o.dtype))]


def correctness_cases() -> Iterator[dict[str, Any]]:
    """Lengths around tile edges, every head width, grouped heads, more and fewer keys than queries."""
    for dtype in (torch.bfloat16, torch.float16):
        for causal in (False, True):
            common = {"dtype": dtype, "causal": causal}
            for d_h in (64, 128):
                for n in (1, 63, 65, 1000, 4097):
                    yield {"n": n, "m": n, "d_h": d_h, "h": 4, "h_kv": 2, **common}
                yield {"n": 300, "m": 1000, "d_h": d_h, "h": 2, "h_kv": 2, **common}
                yield {"n": 1000, "m": 300, "d_h": d_h, "h": 6, "h_kv": 2, **common}
            for d_h in (16, 32, 256):
                yield {"n": 1000, "m": 1000, "d_h": d_h, "h": 4, "h_kv": 1, **common}
    for causal in (False, True):
        yield {"n": 129, "m": 129, "d_h": 64, "h": 2, "h_kv": 1, "dtype": torch.float32, "causal": causal}


def largest_difference(got: Tensor, exact: Tensor) -> float:
    """The largest absolute difference; NaN if there is one."""
    return (got.double() - exact.double()).abs().max().item()


def check_case(n: int, m: int, d_h: int, h: int, h_kv: int, dtype: torch.dtype, causal: bool) -> dict[str, Any]:
    """The case with, for O, dQ, dK, dV, the kernel's error as a share of its limit: 2*err(torch) + atol."""
    inputs = random_inputs(1, h, h_kv, n, m, d_h, dtype)
    with poisoned_outputs():
        got = outputs_and_gradients(partial(flash_attention, causal=causal), *inputs)
    same = outputs_and_gradients(partial(attention_reference, causal=causal), *inputs)
    exact = outputs_and_gradients(partial(attention_reference, causal=causal, dtype=torch.float64), *inputs)
    errors = [[largest_difference(t, e) for t, e in zip(ts, exact, strict=True)] for ts in (got, same)]
    # With a single key torch is exact; the kernels accumulate in fp32 and may round a few times.
    size = max(e.abs().max().item() for e in exact)
    shares = [g / (2 * s + 16 * 2.0**-24 * size) for g, s in zip(*errors, strict=True)]
    share_of_limit = dict(zip(("o", "dq", "dk", "dv"), shares, strict=True))
    case = {"n": n, "m": m, "d_h": d_h, "h": h, "h_kv": h_kv, "dtype": str(dtype), "causal": causal}
    return {**case, "share_of_limit": share_of_limit, "right": all(share <= 1 for share in shares)}


class poisoned_outputs:  # noqa: N801  (a context manager, named like one)
    """Inside, new uninitialised tensors hold NaN, so that an element which no program writes shows."""

    def __enter__(self) -> None:
        self.saved = torch.empty, torch.empty_like
        empty, empty_like = self.saved
        torch.empty = lambda *a, **kw: empty(*a, **kw).fill_(float("nan"))
        torch.empty_like = lambda *a, **kw: empty_like(*a, **kw).fill_(float("nan"))

    def __exit__(self, *_: object) -> None:
        torch.empty, torch.empty_like = self.saved


def check() -> list[dict[str, Any]]:
    """Run and print every correctness case; only wrong ones get a line of their own."""
    results = [check_case(**case) for case in correctness_cases()]
    for case in results:
        if not case["right"]:
            print("WRONG", case)
    right = sum(case["right"] for case in results)
    worst = max(results, key=lambda case: max(case["share_of_limit"].values()))
    print(f"correctness: {right}/{len(results)} right; closest to its limit: {worst}", flush=True)
    return results


def sdpa(backend: SDPBackend, causal: bool) -> Callable[..., Tensor]:
    """torch's attention, held to one backend."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    return attend


def median_ms(function: Callable[[], Any], rep: int = 200) -> float:
    """Median time of one call in milliseconds, from runs that together take about `rep`."""
    return do_bench(function, warmup=rep // 4, rep=rep, quantiles=[0.5])


def algorithmic_flops(b: int, h: int, n: int, d_h: int, causal: bool) -> int:
    """4*d_h for each allowed (query, key) pair of the forward pass."""
    return 4 * d_h * b * h * (n * (n + 1) // 2 if causal else n * n)


def speed_rows() -> Iterator[dict[str, Any]]:
    """TFLOP/s and milliseconds of each implementation, forward and backward, bf16."""
    for b, h, n, d_h in SPEED_SHAPES:
        for causal in (False, True):
            implementations: dict[str, Callable[..., Tensor]] = {
                "flash": partial(flash_attention, causal=causal),
                "fa2": sdpa(SDPBackend.FLASH_ATTENTION, causal),
                "cudnn": sdpa(SDPBackend.CUDNN_ATTENTION, causal),
            }
            q, k, v, do = random_inputs(b, h, h, n, n, d_h)
            row: dict[str, Any] = {"b": b, "h": h, "n": n, "d_h": d_h, "causal": causal}
            flops = algorithmic_flops(b, h, n, d_h, causal)
            for name, attend in implementations.items():
                with torch.no_grad():
                    forward = median_ms(partial(attend, q, k, v))
                leaves = [tensor.detach().requires_grad_() for tensor in (q, k, v)]
                backward = median_ms(partial(torch.autograd.grad, attend(*leaves), leaves, do, retain_graph=True))
                row[name] = {"forward_ms": forward, "backward_ms": backward}
                row[name] |= {"forward": flops / forward / 1e9, "backward": 2.5 * flops / backward / 1e9}
            yield row


def speed() -> list[dict[str, Any]]:
    """Measure and print the table: TFLOP/s forward/backward, and the kernels' ratios to FA-2 and cuDNN."""
    print(f"{'b,h,n,d_h':>20} {'mask':>6} {'flash':>9} {'fa2':>9} {'cudnn':>9}   /fa2        /cudnn")
    rows = []
    for row in speed_rows():
        rows.append(row)
        cells = [f"{row[name]['forward']:4.0f}/{row[name]['backward']:4.0f}" for name in ("flash", "fa2", "cudnn")]
        ratios = [
            "/".join(f"{row['flash'][direction] / row[other][direction]:.2f}" for direction in ("forward", "backward"))
            for other in ("fa2", "cudnn")
        ]
        shape = "{b},{h},{n},{d_h}".format(**row)
        print(f"{shape:>20} {'causal' if row['causal'] else 'full':>6}", *cells, " ", *ratios, flush=True)
    return rows


def tune_state(width: int, causal: bool) -> dict[str, Tensor]:
    """Inputs, saved tensors and torch's own results for one width."""
    b, h, n = TUNE_SHAPES[width]
    q, k, v, do = random_inputs(b, h, h, n, n, width)
    default = tiles_for(width, q.element_size())
    o, lse = launch_forward(q, k, v, causal, default.forward, save_lse=True)
    wanted = outputs_and_gradients(sdpa(SDPBackend.FLASH_ATTENTION, causal), q, k, v, do)
    state = {"q": q, "k": k, "v": v, "do": do, "lse": lse, "delta": launch_delta(o, do, default.dq.rows)}
    return state | dict(zip(("want_o", "want_dq", "want_dk", "want_dv"), wanted, strict=True))


def launch_candidate(candidate: Candidate, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Launch the candidate's kernel once; its results by name."""
    q, k, v, do, lse, delta = (state[name] for name in ("q", "k", "v", "do", "lse", "delta"))
    if candidate.kernel == "forward":
        return {"o": launch_forward(q, k, v, candidate.causal, candidate.tile, save_lse=True)[0]}
    if candidate.kernel == "dk_dv":
        dk, dv = launch_dk_dv(q, k, v, do, lse, delta, candidate.causal, candidate.tile)
        return {"dk": dk, "dv": dv}
    return {"dq": launch_dq(q, k, v, do, lse, delta, candidate.causal, candidate.tile)}


def compile_candidate(candidate: Candidate) -> str:
    """In a worker: launch once on the real shape, so that the binary lands in Triton's disk cache."""
    b, h, n = TUNE_SHAPES[candidate.width]
    inputs = dict(zip(("q", "k", "v", "do"), random_inputs(b, h, h, n, n, candidate.width), strict=True))
    sums = {name: torch.zeros(b, h, n, device="cuda") for name in ("lse", "delta")}
    try:
        launch_candidate(candidate, inputs | sums)
        torch.cuda.synchronize()
    except triton.runtime.errors.OutOfResources as error:
        return str(error)
    return ""


def measure_candidate(candidate: Candidate, state: dict[str, Tensor]) -> dict[str, Any]:
    """Time and relative error (Frobenius norm) of one candidate."""
    try:
        got = launch_candidate(candidate, state)
        error = max(((t - state[f"want_{name}"]).float().norm() / t.float().norm()).item() for name, t in got.items())
        milliseconds = do_bench(lambda: launch_candidate(candidate, state), warmup=10, rep=50, quantiles=[0.5])
    except triton.runtime.errors.OutOfResources as refused:
        return {**candidate._asdict(), "refused": str(refused)}
    return {**candidate._asdict(), "ms": milliseconds, "relative_error": error, "right": error < 0.02}


def tune(widths: list[int], workers: int) -> list[dict[str, Any]]:
    """Compile all candidates in parallel, time them one by one, print the best four of each group."""
    groups = [(width, kernel, causal) for width in widths for kernel in CANDIDATES for causal in (False, True)]
    jobs = [Candidate(*group, Tile(*tile)) for group in groups for tile in CANDIDATES[group[1]]]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(compile_candidate, jobs))
    results: list[dict[str, Any]] = []
    for width, kernel, causal in groups:
        state = tune_state(width, causal)
        mine = [measure_candidate(Candidate(width, kernel, causal, Tile(*tile)), state) for tile in CANDIDATES[kernel]]
        results += mine
        timed = sorted((result for result in mine if "ms" in result), key=lambda result: result["ms"])
        best = " | ".join(f"{'x'.join(map(str, result['tile']))} {result['ms']:.3f}" for result in timed[:5])
        print(f"{width:>3} {kernel:>7} {'causal' if causal else 'full':>6} ms: {best}", flush=True)
        for wrong in (result for result in timed if not result["right"]):
            print("  WRONG", tuple(wrong["tile"]), wrong["relative_error"], flush=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--tune", action="store_true", help="also time the candidate tiles")
    parser.add_argument("--widths", default="64,128", help="head widths to tune, comma-separated")
    parser.add_argument("--workers", type=int, default=12, help="compiling processes")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "triton": triton.__version__,
    }
    print(*report.values())
    for name, stage in (("correctness", check), ("speed", speed)):
        report[name] = stage()
        arguments.output.write_text(json.dumps(report, indent=1))
    if arguments.tune:
        report["tune"] = tune([int(width) for width in arguments.widths.split(",")], arguments.workers)
        arguments.output.write_text(json.dumps(report, indent=1))
    return 0 if all(case["right"] for case in report["correctness"]) else 1


if __name__ == "__main__":
    sys.exit(main())
