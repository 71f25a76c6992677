"""Linear attention on a CUDA GPU: is it right, how fast is it, and (--tune) which tiles are fastest.

Run: `python tests/gpu/check_linear.py --output linear.json [--tune 128]`; `tfcost_kernels` must be importable. Prints
compact tables, writes everything to the JSON file, exits 1 if any result is wrong. Times are medians of `do_bench` in
bf16. Beside the kernels stand the torch form whose cost tfcost derives (where `tfcost` is importable), fla's
`chunk_linear_attn`, which has no feature map (where `fla` is), and torch's softmax attention.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import triton
from check_flash import largest_difference, median_ms, outputs_and_gradients, poisoned_outputs, random_inputs
from torch import Tensor

from tfcost_kernels.linear import causal_linear_attention, launch, linear_attention, linear_decode_step
from tfcost_kernels.linear.features import FEATURE_MAPS
from tfcost_kernels.linear.launch import Options
from tfcost_kernels.linear.reference import linear_reference
from tfcost_kernels.linear.tiles import CHUNKS, Tile, tiles_for

SPEED_SHAPES = ((1, 16, 16384, 128), (4, 16, 4096, 128), (4, 32, 4096, 64), (1, 12, 10000, 64))
SEGMENTS = (128, 256, 512, 1024)
CANDIDATES = [Tile(w, *rest) for w in (32, 64, 128) for rest in ((4, 1), (4, 2), (8, 1), (8, 2), (8, 3))]


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
        for c in CHUNKS:
            yield {"n": 1001, "d_h": d_h, "h": 4, "h_kv": 1, "causal": True, "c": c}
        yield {"n": 300, "m": 2049, "d_h": d_h, "h": 6, "h_kv": 2, "causal": False}
    yield {"n": 129, "d_h": 64, "h": 2, "h_kv": 1, "causal": True, "c": 32, "dtype": torch.float32}


def check_case(case: dict[str, Any]) -> dict[str, Any]:
    """The case with, for O, dQ, dK, dV, the kernel's error as a share of its limit: 2*err(torch) + atol."""
    n, dtype, causal = case["n"], case.get("dtype", torch.bfloat16), case["causal"]
    options = {"feature_map": case.get("feature_map", "elu+1")}
    inputs = random_inputs(1, case["h"], case["h_kv"], n, case.get("m", n), case["d_h"], dtype)
    attend = partial(causal_linear_attention, c=case.get("c", 64)) if causal else linear_attention
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


def check() -> list[dict[str, Any]]:
    """Run and print every correctness case; only wrong ones get a line of their own."""
    results = [*map(check_case, correctness_cases()), check_decode()]
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


def speed() -> list[dict[str, Any]]:
    """Measure and print milliseconds, forward / backward; rows lie before heads in memory, as fla wants them."""
    rows = []
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


def tune(width: int) -> list[dict[str, Any]]:
    """Time each kernel, causal, c = 64: the table's tile at every segment, every candidate at the table's segment."""
    q, k, v, do = random_inputs(1, 16, 16, 16384, 16384, width)
    table = tiles_for(width, 2)
    timed: list[dict[str, Any]] = []
    for segment in SEGMENTS:
        options = Options(True, "elu+1", True, table._replace(segment=segment))
        states = launch.launch_states(k, v, options)
        o, norm = launch.launch_output(q, k, v, states, options, save_norm=True)
        delta = launch.launch_dq(q, k, v, o, do, states, norm, options)[1]
        grads = launch.launch_state_gradients(q, k, do, norm, delta, options)
        calls: dict[str, Callable[..., Any]] = {
            "states": partial(launch.launch_states, k, v),
            "output": partial(launch.launch_output, q, k, v, states, save_norm=True),
            "dq": partial(launch.launch_dq, q, k, v, o, do, states, norm),
            "gradients": partial(launch.launch_state_gradients, q, k, do, norm, delta),
            "dk": partial(launch.launch_dk, q, k, v, do, grads, norm, delta),
            "dv": partial(launch.launch_dv, q, k, v, do, grads, norm),
        }
        for name, call in calls.items():
            more = [tile for tile in CANDIDATES if tile.columns <= width] if segment == table.segment else []
            for tile in {getattr(table, name): None, **dict.fromkeys(more)}:
                tiles = options.tiles._replace(**{name: tile})
                with suppress(triton.runtime.errors.OutOfResources):
                    ms = median_ms(partial(call, options=options._replace(tiles=tiles)))
                    timed.append({"kernel": name, "segment": segment, "tile": tile, "ms": ms})
    for name in table._fields[2:]:
        best = sorted((row for row in timed if row["kernel"] == name), key=lambda row: row["ms"])[:6]
        print(width, name, *(f"| {row['segment']} {'x'.join(map(str, row['tile']))} {row['ms']:.3f}" for row in best))
    return timed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--tune", type=int, metavar="WIDTH", help="also time candidate tiles for this head width")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "versions": [torch.__version__, triton.__version__]}
    print(*report.values())
    stages: dict[str, Callable[[], Any]] = {"correctness": check, "speed": speed}
    if arguments.tune:
        stages["tune"] = partial(tune, arguments.tune)
    for name, stage in stages.items():
        report[name] = stage()
        arguments.output.write_text(json.dumps(report, indent=1))
    return 0 if all(case["right"] for case in report["correctness"]) else 1


if __name__ == "__main__":
    sys.exit(main())
