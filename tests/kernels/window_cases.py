"""Run the window kernels in Triton's CPU interpreter; print errors and tile counts as JSON (see test_window.py)."""

from functools import partial
from typing import Any, NamedTuple

import torch
from kernels.flash_cases import make, outputs_and_gradients
from kernels.interpreter_run import Errors, errors, poison_new_tensors, print_report
from torch import Tensor

from tfcost_kernels import window
from tfcost_kernels.flash import flash_attention
from tfcost_kernels.flash.tiles import Tile, Tiles
from tfcost_kernels.window import reference


class Case(NamedTuple):
    """One call of `pattern`_attention; `numbers` are its w, c, r, s, g, `tile` is (rows, keys) of all kernels."""

    pattern: str
    numbers: tuple[int, ...]
    n: int
    m: int
    causal: bool
    dtype: str = "float32"
    tile: tuple[int, int] = (32, 32)
    heads: tuple[int, int] = (1, 1)
    d_h: int = 16
    layout: str = "bhnd"


def both(*arguments: Any, **more: Any) -> list[Case]:
    """The case with and without a causal mask."""
    return [Case(*arguments, causal, **more) for causal in (False, True)]


CASES = [
    Case("window", (0,), 63, 63, True),
    Case("window", (3,), 1, 1, False),
    *both("window", (20,), 65, 65, dtype="float16", tile=(32, 16)),
    Case("window", (70,), 257, 257, True, tile=(64, 64)),
    *both("window", (10**12,), 40, 40),
    *both("window", (10,), 20, 65, tile=(16, 32)),
    *both("window", (20,), 65, 33),
    Case("window", (9,), 40, 40, True, tile=(64, 32), heads=(4, 2), layout="bnhd"),
    Case("window", (9,), 40, 40, False, tile=(64, 64), heads=(2, 1), layout="gaps", dtype="float16"),
    Case("window", (9,), 40, 40, True, layout="columns"),
    Case("window", (33,), 65, 65, True, d_h=64, dtype="float16"),
    Case("window", (33,), 65, 65, False, d_h=128, dtype="float16"),
    *both("block_local", (32,), 65, 65, dtype="float16"),
    Case("block_local", (45,), 100, 100, True, tile=(32, 16)),
    Case("block_local", (45,), 65, 65, False, tile=(64, 64), heads=(2, 1)),
    Case("block_local", (1,), 3, 5, True),
    Case("block_local", (10**12,), 40, 33, True),
    Case("block_local", (10**12,), 33, 40, False),
    Case("block_local", (20,), 33, 50, True),
    Case("block_local", (20,), 50, 33, False),
    *both("dilated", (3, 2), 65, 65, dtype="float16"),
    Case("dilated", (20, 2), 100, 100, False, tile=(32, 16)),
    Case("dilated", (5, 1), 40, 40, True, heads=(2, 1)),
    Case("dilated", (2, 10**12), 2, 4, False),
    *both("dilated", (4, 3), 63, 100),
    *both("dilated", (4, 3), 100, 63, layout="bnhd"),
    Case("strided", (4,), 100, 100, True, tile=(32, 16), dtype="float16"),
    Case("strided", (4,), 40, 40, False, tile=(32, 64), heads=(2, 1)),
    Case("strided", (1,), 63, 63, True),
    Case("strided", (10**12,), 3, 3, False),
    Case("strided", (3,), 65, 100, True),
    Case("strided", (3,), 65, 40, False, layout="bnhd"),
    *both("longformer", (5, 3), 65, 65, dtype="float16"),
    Case("longformer", (8, 40), 100, 100, True),
    Case("longformer", (8, 40), 65, 65, False),
    Case("longformer", (8, 20), 40, 40, False, heads=(2, 1)),
    Case("longformer", (0, 0), 33, 33, False),
    Case("longformer", (7, 10**12), 33, 33, False),
    Case("longformer", (6, 17), 40, 65, False),
    Case("longformer", (6, 17), 65, 40, True),
    Case("longformer", (6, 40), 65, 50, False),
]

# Whose forward tiles are counted: n = m, and every class fills its last tile.
COUNTED = [
    *both("window", (20,), 64, 64, tile=(16, 16)),
    Case("window", (1,), 64, 64, True, tile=(32, 16)),
    Case("block_local", (32,), 64, 64, True, tile=(16, 16)),
    *both("dilated", (17, 2), 64, 64, tile=(16, 16)),
    *both("longformer", (4, 17), 80, 80, tile=(16, 16)),
    Case("strided", (2,), 64, 64, True, tile=(16, 16)),
]


def run(case: Case) -> Errors:
    """Largest errors of O, dQ, dK, dV against fp64: of the kernels and of torch in the case's dtype."""
    torch.manual_seed(0)
    (h, h_kv), dtype = case.heads, getattr(torch, case.dtype)
    shapes = [(1, h, case.n, case.d_h), (1, h_kv, case.m, case.d_h), (1, h_kv, case.m, case.d_h)]
    inputs = [make(shape, case.layout, dtype) for shape in shapes]
    grad = make(shapes[0], case.layout, dtype)
    allowed = getattr(reference, case.pattern)(*case.numbers, case.causal)

    def kernels(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(case, q, k, v)

    def masked(to: torch.dtype) -> list[Tensor]:
        return outputs_and_gradients(
            lambda q, k, v: reference.masked_attention(q, k, v, allowed, dtype=to), inputs, grad
        )

    got = outputs_and_gradients(kernels, inputs, grad)
    return errors(("o", "dq", "dk", "dv"), got, masked(dtype), masked(torch.float64))


def attend(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The case's function on q, k, v."""
    tiles = Tiles(*[Tile(*case.tile, 4, 1)] * 3)
    return getattr(window, f"{case.pattern}_attention")(q, k, v, *case.numbers, causal=case.causal, tiles=tiles)


def visited_tiles(case: Case) -> int:
    """How many key tiles the forward kernels visit: each takes two products."""
    from triton.runtime.interpreter import InterpreterBuilder

    products = 0
    create_dot = InterpreterBuilder.create_dot

    def count(*arguments: Any) -> Any:
        nonlocal products
        products += 1
        return create_dot(*arguments)

    InterpreterBuilder.create_dot = count
    attend(case, *(torch.randn(1, 1, case.n, 16) for _ in "qkv"))
    InterpreterBuilder.create_dot = create_dot
    return products // 2


def inference_equals_training() -> bool:
    """Without gradients the last pass stores no LSE; the output must be the same to the bit."""
    case = Case("strided", (5,), 40, 40, True)
    q, k, v = (torch.randn(1, 1, 40, 16) for _ in "qkv")
    return torch.equal(attend(case, q, k, v), attend(case, q.requires_grad_(), k, v).detach())


# What leaves nothing out of 100 positions.
FULL = [
    ("window", (99,)),
    ("window", (10**12,)),
    ("block_local", (100,)),
    ("dilated", (99, 1)),
    ("longformer", (0, 100)),
]


def differences_from_flash() -> list[float]:
    """Of the patterns that leave nothing out from flash's kernels: the largest in O, dQ, dK, dV."""
    found = []
    for causal in (False, True):
        q, grad = (make((1, 2, 100, 16), "bhnd", torch.float32) for _ in "qg")
        k, v = (make((1, 1, 100, 16), "bhnd", torch.float32) for _ in "kv")
        full = outputs_and_gradients(partial(flash_attention, causal=causal), [q, k, v], grad)
        for pattern, numbers in FULL:
            same = outputs_and_gradients(partial(attend, Case(pattern, numbers, 100, 100, causal)), [q, k, v], grad)
            found += [(one - other).abs().max().item() for one, other in zip(same, full, strict=True)]
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    poison_new_tensors()
    print_report(
        {
            "errors": [run(case) for case in CASES],
            "tiles": [visited_tiles(case) for case in COUNTED],
            "inference_equals_training": inference_equals_training(),
            "differences_from_flash": differences_from_flash(),
        }
    )
