"""Linear attention on a CUDA GPU: is it right, how fast is it, which kernel takes how long, which tiles are fastest.

Run: `python tests/gpu/check_linear.py --output linear.json [--parts correctness,speed,tiles]`; `tfcost_kernels` must be
importable. Prints a line per result, writes everything to the JSON file, exits 1 if any result is wrong. Times
are medians of `do_bench` in bf16. Beside the kernels stand the torch form whose cost tfcost derives (where `tfcost` is
importable), fla's `chunk_linear_attn`, which has no feature map (where `fla` is), and torch's softmax attention.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import triton
from check_flash import largest_difference, outputs_and_gradients, poisoned_outputs, random_inputs
from torch import Tensor
from triton.testing import do_bench

from tfcost_kernels.linear import causal_linear_attention, launch, linear_attention, linear_decode_step
from tfcost_kernels.linear.features import FEATURE_MAPS
from tfcost_kernels.linear.launch import Options
from tfcost_kernels.linear.reference import linear_reference
from tfcost_kernels.linear.tiles import CHUNK, Tile, Tiles, Walk, tiles_for

SPEED_SHAPES = ((1, 16, 16384, 128), (4, 16, 4096, 64))
SEGMENTS = (128, 256, 512, 1024)
CHECKED_CHUNKS = (16, 64, 128, 1024)
CANDIDATES: dict[str, list[Walk | Tile]] = {
    "states": [Walk(64, 8, 2), Walk(64, 8, 3), Walk(64, 8, 4), Walk(32, 8, 4), Walk(64, 4, 3)],
    "output": [
        Tile(128, 64, 8, 2), Tile(128, 64, 8, 3), Tile(128, 32, 8, 2), Tile(128, 128, 8, 2),
        Tile(64, 64, 4, 2), Tile(64, 32, 4, 2), Tile(64, 32, 4, 3), Tile(64, 64, 8, 2),
    ],
    "gradients": [Walk(64, 8, 2), Walk(64, 8, 3), Walk(32, 8, 3), Walk(32, 4, 3), Walk(64, 4, 2)],
    "dq": [Tile(128, 64, 8, 2), Tile(128, 32, 8, 2), Tile(64, 64, 4, 2), Tile(64, 32, 4, 2), Tile(64, 32, 4, 3)],
    "dk_dv": [
        Tile(128, 32, 8, 2), Tile(128, 32, 8, 1), Tile(128, 64, 8, 2), Tile(64, 32, 4, 2), Tile(64, 32, 4, 1),
        Tile(64, 64, 8, 2),
    ],
}  # fmt: skip


class Candidate(NamedTuple):
    """The table's tiles for a head width with another segment, or another tile for one kernel (None: all as there)."""

    width: int
    segment: int
    kernel: str | None = None
    tile: Walk | Tile | None = None

    def tiles(self) -> Tiles:
        """The tiles of the call."""
        table = tiles_for(self.width, 2, self.segment)
        return table._replace(**{self.kernel: self.tile}) if self.kernel else table


def median_ms(function: Callable[[], Any]) -> float:
    """Median time of one call in milliseconds."""
    return do_bench(function, warmup=10, rep=60, quantiles=[0.5])


def correctness_cases() -> Iterator[dict[str, Any]]:
    """Lengths around tile edges, every head width, map and chunk, grouped heads, other numbers of keys; fp16 while
    torch's sums of weights stay below its largest number.
    """
    for d_h in (64, 128):
        for causal in (False, True):
            for n in (1, 63, 65, 1000, 4097):
                yield {"n": n, "d_h": d_h, "h": 4, "h_kv": 2, "causal": causal}
            for feature_map in FEATURE_MAPS:
                yield {"n": 700, "d_h": d_h, "h": 2, "h_kv": 2, "causal": causal, "feature_map": feature_map}
            yield {"n": 129, "d_h": d_h, "h": 2, "h_kv": 1, "causal": causal, "dtype": torch.float16}
    for d_h in (16, 32, 64, 128):
        for c in CHECKED_CHUNKS:
            yield {"n": 1001, "d_h": d_h, "h": 4, "h_kv": 1, "causal": True, "c": c}
        yield {"n": 300, "m": 2049, "d_h": d_h, "h": 6, "h_kv": 2, "causal": False}
    yield {"n": 129, "d_h": 64, "h": 2, "h_kv": 1, "causal": True, "c": 32, "dtype": torch.float32}


def check_case(case: dict[str, Any]) -> dict[str, Any]:
    """The case with, for O, dQ, dK, dV, the kernel's error as a share of its limit: 2*err(torch) + atol."""
    n, dtype, causal = case["n"], case.get("dtype", torch.bfloat16), case["causal"]
    options = {"feature_map": case.get("feature_map", "elu+1")}
    inputs = random_inputs(1, case["h"], case["h_kv"], n, case.get("m", n), case["d_h"], dtype)
    attend = partial(causal_linear_attention, c=case.get("c", CHUNK)) if causal else linear_attention
    with poisoned_outputs():
        got = outputs_and_gradients(partial(attend, **options), *inputs)
    reference = partial(linear_reference, causal=causal, **options)
    same, exact = (outputs_and_gradients(partial(reference, dtype=to), *inputs) for to in (dtype, torch.float64))
    # With a single key torch is exact; the kernels accumulate in fp32 and may round a few times.
    atol = 16 * 2.0**-24 * max(e.abs().max().item() for e in exact)
    shares = [
        largest_difference(g, e) / (2 * largest_difference(s, e) + atol)
        for g, s, e in zip(got, same, exact, strict=True)
    ]
    named = dict(zip(("o", "dq", "dk", "dv"), shares, strict=True))
    return {**case, "dtype": str(dtype), "share_of_limit": named, "right": all(share <= 1 for share in shares)}


def check_decode() -> dict[str, Any]:
    """A hundred decode steps against the rows of causal attention."""
    q, k, v, _ = random_inputs(2, 8, 2, 100, 100, 128)
    state, keys = torch.zeros(2, 2, 128, 128, device="cuda"), torch.zeros(2, 2, 128, device="cuda")
    rows = [linear_decode_step(*(t[:, :, i : i + 1] for t in (q, k, v)), state, keys) for i in range(100)]
    same, exact = (linear_reference(q, k, v, causal=True, dtype=to) for to in (None, torch.float64))
    share = largest_difference(torch.cat(rows, dim=2), exact) / (2 * largest_difference(same, exact))
    return {"decode": True, "share_of_limit": {"o": share}, "right": share <= 1}


def check(pool: Executor) -> list[dict[str, Any]]:
    """Run and print every correctness case; only wrong ones get a line of their own."""
    results = [*pool.map(check_case, correctness_cases()), check_decode()]
    wrong = [case for case in results if not case["right"]]
    worst = max(results, key=lambda case: max(case["share_of_limit"].values()))
    print(*(f"WRONG {case}" for case in wrong), sep="\n")
    print(f"{len(results) - len(wrong)}/{len(results)} right; closest to its limit: {worst}", flush=True)
    return results


def implementations(causal: bool) -> dict[str, Callable[..., Tensor]]:
    """By name; each takes q, k, v as [b,h,n,d_h]."""
    ours = causal_linear_attention if causal else linear_attention
    found: dict[str, Callable[..., Tensor]] = {"kernel": ours, "unnormalised": partial(ours, normalise=False)}
    if find_spec("tfcost"):
        from tfcost.techniques import linear

        found["torch"] = linear.causal_attention if causal else linear.attention
    if causal and find_spec("fla"):
        from fla.ops.linear_attn import chunk_linear_attn

        found["fla"] = lambda *qkv: chunk_linear_attn(*(t.transpose(1, 2) for t in qkv), normalize=False)[0]
    return found | {"softmax": partial(F.scaled_dot_product_attention, is_causal=causal)}


def compile_kernels(width: int, causal: bool, normalise: bool) -> None:
    """In a worker: run both passes once on short inputs, so that the binaries lie in Triton's disk cache."""
    attend = partial(causal_linear_attention if causal else linear_attention, normalise=normalise)
    inputs = random_inputs(1, 16, 16, 1024, 1024, width)
    attend(*inputs[:3])
    outputs_and_gradients(attend, *inputs)
    torch.cuda.synchronize()


def speed(pool: Executor) -> list[dict[str, Any]]:
    """Measure and print milliseconds, forward / backward; rows lie before heads in memory, as fla wants them."""
    rows = []
    flags = (False, True)
    list(pool.map(compile_kernels, *zip(*product({shape[3] for shape in SPEED_SHAPES}, flags, flags), strict=True)))
    for b, h, n, d_h in SPEED_SHAPES:
        for causal in (True, False):
            q, k, v, do = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in random_inputs(b, h, h, n, n, d_h))
            row: dict[str, Any] = {"shape": [b, h, n, d_h], "causal": causal}
            for name, attend in implementations(causal).items():
                with torch.no_grad():
                    forward = median_ms(partial(attend, q, k, v))
                leaves = [tensor.detach().requires_grad_() for tensor in (q, k, v)]
                o = attend(*leaves)
                grad = do if o.shape == do.shape else do.transpose(1, 2)  # fla returns rows before heads
                backward = median_ms(partial(torch.autograd.grad, o, leaves, grad, retain_graph=True))
                row[name] = {"forward_ms": forward, "backward_ms": backward}
            rows.append(row)
            times = [f"{name} {t['forward_ms']:.3f}/{t['backward_ms']:.3f}" for name, t in list(row.items())[2:]]
            print(f"{b},{h},{n},{d_h}", "causal" if causal else "full", "ms:", ", ".join(times), flush=True)
    return rows


def kernel_calls(inputs: Iterable[Tensor], tiles: Tiles) -> dict[str, Callable[[], Any]]:
    """Each launcher of the causal passes, by the name of its tile, with all that it needs made before."""
    q, k, v, do = inputs
    options = Options(True, "elu+1", True, tiles)
    states = launch.launch_states(k, v, options)
    o, norm = launch.launch_output(q, k, v, states, options, save_norm=True)
    delta = launch.launch_dq(q, k, v, o, do, states, norm, options)[1]
    grads = launch.launch_state_gradients(q, k, do, norm, delta, options)
    return {
        "forward": partial(causal_linear_attention, q, k, v, tiles.segment, tiles=tiles),
        "states": partial(launch.launch_states, k, v, options),
        "sums": partial(launch.sum_segments, states, True, reverse=False),  # in the two with states, too
        "output": partial(launch.launch_output, q, k, v, states, options, save_norm=False),
        "dq": partial(launch.launch_dq, q, k, v, o, do, states, norm, options),
        "gradients": partial(launch.launch_state_gradients, q, k, do, norm, delta, options),
        "dk_dv": partial(launch.launch_dk_dv, q, k, v, do, grads, norm, delta, options),
    }


def compile_candidate(candidate: Candidate) -> str:
    """In a worker: launch once on short inputs, so that the binary lands in Triton's disk cache; why it is refused."""
    inputs = random_inputs(1, 16, 16, 1024, 1024, candidate.width)
    try:
        calls = kernel_calls(inputs, candidate.tiles())
        calls[candidate.kernel or "output"]()
        torch.cuda.synchronize()
    except triton.runtime.errors.OutOfResources as error:
        return str(error)
    return ""


def tiles(pool: Executor) -> list[dict[str, Any]]:
    """Time every candidate: segments by the whole forward and backward pass, tiles by their kernel's launcher."""
    widths = {d_h: (b, h, h, n, n, d_h) for b, h, n, d_h in SPEED_SHAPES}
    jobs = [Candidate(width, segment) for width, segment in product(widths, SEGMENTS)]
    for width, kernel in product(widths, CANDIDATES):
        jobs += [Candidate(width, CHUNK, kernel, tile) for tile in CANDIDATES[kernel]]
    refusals = list(pool.map(compile_candidate, jobs))  # all of them, so that nothing else runs while times are taken
    rows = []
    for job, refused in zip(jobs, refusals, strict=True):
        if refused:
            print(job, refused, flush=True)
            continue
        calls = kernel_calls(random_inputs(*widths[job.width]), job.tiles())
        timed = {name: median_ms(call) for name, call in calls.items() if job.kernel in (None, name)}
        rows.append({**job._asdict(), "ms": timed})
        what = f"{job.kernel} {'x'.join(map(str, job.tile))}" if job.tile else f"segment {job.segment}"
        print(job.width, what, *(f"{name} {ms:.4f}" for name, ms in timed.items()), flush=True)
    return rows


PARTS: dict[str, Callable[[Executor], Any]] = {"correctness": check, "speed": speed, "tiles": tiles}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to do, comma-separated")
    parser.add_argument("--workers", type=int, default=12, help="compiling and checking processes")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "versions": [torch.__version__, triton.__version__]}
    print(*report.values())
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        for name in arguments.parts.split(","):
            report[name] = PARTS[name](pool)
            arguments.output.write_text(json.dumps(report, indent=1))
    return 0 if all(case["right"] for case in report.get("correctness", [])) else 1


if __name__ == "__main__":
    sys.exit(main())
