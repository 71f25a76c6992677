"""Times other tiles for the window kernels on a CUDA GPU: the material for kernels/window/tiles.py.

Run: `python tests/gpu/tune_window.py --output tiles.json`; `tfcost_kernels` must be importable. Candidates are compiled
by several processes first, then each kernel is timed alone. Prints the best tiles of each kernel over all patterns.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from math import prod
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch
import triton
from check_window import random_inputs
from checking import median_ms
from torch import Tensor

from tfcost_kernels.flash.tiles import Tile
from tfcost_kernels.window.geometry import Pass
from tfcost_kernels.window.launch import launch_dk_dv, launch_dq, launch_forward

SHAPES = {64: (1, 12, 16384), 128: (1, 16, 16384)}
PASSES = {
    "window": Pass("rows", "band", True, w=512),
    "symmetric": Pass("rows", "band", False, w=512),
    "blocks": Pass("blocks", "all", True, period=512),
    "global": Pass("rows", "global", True, w=256, g=64),
}
CANDIDATES = {
    "forward": ((64, 64, 4, 2), (64, 64, 4, 3), (128, 64, 4, 2), (128, 64, 4, 3), (128, 64, 8, 2), (128, 64, 8, 3),
                (128, 128, 8, 2), (64, 128, 4, 2)),
    "dk_dv": ((32, 64, 4, 2), (32, 64, 4, 3), (32, 64, 8, 3), (32, 128, 8, 2), (64, 64, 4, 2), (64, 64, 4, 3),
              (64, 128, 8, 2), (64, 128, 8, 3), (128, 64, 8, 2)),
    "dq": ((64, 64, 4, 2), (64, 64, 4, 3), (64, 32, 4, 3), (128, 32, 8, 3), (128, 64, 8, 2), (128, 64, 8, 3),
           (64, 64, 8, 2)),
}  # fmt: skip


class Candidate(NamedTuple):
    """One kernel of one pattern with one tile."""

    width: int
    kernel: str
    pattern: str
    tile: Tile


def launch(candidate: Candidate, given: list[Tensor]) -> None:
    """One launch; `given` is q, k, v, dO and two sums per row."""
    q, k, v, do, lse, delta = given
    passes = (PASSES[candidate.pattern],)
    if candidate.kernel == "forward":
        launch_forward(q, k, v, passes, candidate.tile, save_lse=True)
    else:
        backward = launch_dk_dv if candidate.kernel == "dk_dv" else launch_dq
        backward(q, k, v, do, lse, delta, passes, candidate.tile)


def inputs(width: int) -> list[Tensor]:
    b, h, n = SHAPES[width]
    sums = [torch.randn(b, h, n, device="cuda") for _ in range(2)]
    return [*random_inputs(b, h, h, n, n, width, torch.bfloat16), *sums]


def compile_candidate(candidate: Candidate) -> bool:
    """In a worker: one launch, so that the binary lies in Triton's cache; False if the GPU cannot take it."""
    try:
        launch(candidate, inputs(candidate.width))
        torch.cuda.synchronize()
    except triton.runtime.errors.OutOfResources:
        return False
    return True


def rows(widths: list[int], workers: int) -> Iterator[dict[str, object]]:
    """Milliseconds of every candidate that fits the GPU."""
    jobs = [Candidate(width, kernel, pattern, Tile(*tile)) for width, kernel, pattern in
            product(widths, CANDIDATES, PASSES) for tile in CANDIDATES[kernel]]  # fmt: skip
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        fitting = list(pool.map(compile_candidate, jobs))
    given = {width: inputs(width) for width in widths}
    for job, fits in zip(jobs, fitting, strict=True):
        if fits:
            yield {**job._asdict(), "ms": median_ms(lambda job=job: launch(job, given[job.width]), rep=40)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--widths", default="64,128", help="head widths, comma-separated")
    parser.add_argument("--workers", type=int, default=14, help="compiling processes")
    arguments = parser.parse_args()
    found = list(rows([int(width) for width in arguments.widths.split(",")], arguments.workers))
    arguments.output.write_text(json.dumps(found, indent=1))
    for width, kernel in sorted({(row["width"], row["kernel"]) for row in found}):
        mine = [row for row in found if (row["width"], row["kernel"]) == (width, kernel)]
        times = {tile: [row["ms"] for row in mine if row["tile"] == tile] for tile in {row["tile"] for row in mine}}
        for tile, ms in sorted(times.items(), key=lambda one: prod(one[1]))[:5]:
            print(f"{width:>4} {kernel:>8} {'x'.join(map(str, tile)):>12}", *(f"{one:.4f}" for one in ms))
    print("patterns:", *PASSES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
