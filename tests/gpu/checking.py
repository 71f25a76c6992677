"""What the GPU checks share: errors against fp64 as shares of their limit, poisoned outputs, and the run itself.

A check names its correctness cases and its speed rows and calls `run`.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch._functorch.config
import triton
from check_flash import largest_difference, median_ms, poisoned_outputs
from torch import Tensor

__all__ = ["copy_bandwidth", "gradients", "judge", "median_ms", "poisoned_outputs", "run"]

Row = dict[str, Any]
Case = Callable[[], Row]

# A backward pass is timed by running it again and again, which a compiled one does not survive with donated buffers.
torch._functorch.config.donated_buffer = False


def gradients(function: Callable[..., Tensor], inputs: Sequence[Tensor], grad: Tensor) -> list[Tensor]:
    """The output of `function(*inputs)`, then the gradient of each input."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    out = function(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad.to(out.dtype))]


def judge(case: Row, names: Iterable[str], got: list[Tensor], same: list[Tensor], exact: list[Tensor]) -> Row:
    """The case with each tensor's error as a share of its limit: twice torch's error in the same dtype, and a bit.

    The bit is a few roundings of fp32, for where torch happens to be exact.
    """
    atol = 16 * 2.0**-24 * max(tensor.abs().max().item() for tensor in exact)
    limits = [2 * largest_difference(s, e) + atol for s, e in zip(same, exact, strict=True)]
    errors = [largest_difference(g, e) for g, e in zip(got, exact, strict=True)]
    # Where torch is exact and everything is 0, so must the kernel be.
    shares = {
        name: error / limit if limit else float(error != 0)
        for name, error, limit in zip(names, errors, limits, strict=True)
    }
    return {**case, "share_of_limit": shares, "right": all(share <= 1 for share in shares.values())}


def copy_bandwidth(size: int = 2**30) -> float:
    """Bytes per second of a device copy, read and written."""
    source = torch.empty(size, dtype=torch.uint8, device="cuda").fill_(1)
    target = torch.empty_like(source)
    return 2 * size / (median_ms(lambda: target.copy_(source)) / 1e3)


def run(description: str, check: Callable[[], Iterable[Case]], speed: Callable[[], Iterable[Row]]) -> int:
    """Run `check`'s cases, print and write both parts; 1 if a case is wrong. `speed` yields names and numbers."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--share", default="1/1", help="check only the I-th of N parts of the cases: I/N")
    parser.add_argument("--no-speed", action="store_true", help="correctness alone")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.share.split("/"))
    environment = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "triton": triton.__version__}
    print(*environment.values())
    cases = [case() for case in list(check())[part - 1 :: parts]]
    for case in cases:
        if not case["right"]:
            print("WRONG", case)
    worst = max(cases, key=lambda case: max(case["share_of_limit"].values()))
    print(f"correctness: {sum(case['right'] for case in cases)}/{len(cases)} right; closest to its limit: {worst}")
    rows = []
    for row in () if arguments.no_speed else speed():
        rows.append(row)
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    arguments.output.write_text(json.dumps({**environment, "correctness": cases, "speed": rows}, indent=1))
    return 0 if all(case["right"] for case in cases) else 1
