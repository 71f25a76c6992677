"""A tiled kernel's traffic and on-chip memory as formulas of its tile, for the I/O theorem.

In: a subject whose tile is the sizes B_M and B_N. Its kernel is derived at several tiles and head widths, and the
results are put together exactly. Out: the entries `TILED_TRAFFIC` and `TILED_MEMORY` of `Cost.composition`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import sympy as sp
import torch

from tfcost.cost import TILED_MEMORY, TILED_TRAFFIC
from tfcost.derive.errors import DerivationError
from tfcost.derive.interpolate import polynomial
from tfcost.derive.memory import undominated
from tfcost.derive.sizes import ELEMENT, size_symbol
from tfcost.derive.subject import Subject
from tfcost.derive.trace import trace_forward
from tfcost.formula import Formula

NAMES = ("B_M", "B_N", "d_h")
_LENGTH = "n"
Point = tuple[int, ...]

# Powers of two from 16 on, B_N a divisor of B_M. What one program does is linear in each size by itself: two values of
# each determine it, and the held-out tiles, which change one size or several, must agree.
_SOLVED = tuple(product((64, 128), (16, 32), (32, 64)))
_HELD_OUT = ((256, 16, 32), (64, 64, 32), (64, 16, 128), (256, 64, 128), (512, 128, 16), (128, 128, 256))


@dataclass(frozen=True, slots=True)
class _Sample:
    """One tile and head width: the bytes that one program issues on average, and its `live_bytes` (see `ttir.sram`)."""

    program_bytes: sp.Expr
    live_bytes: tuple[sp.Expr, ...]


def tiled_costs(subject: Subject, dtype: torch.dtype) -> dict[str, Formula]:
    """The two entries for `subject`, which has the sizes B_M, B_N, d_h and n and calls the kernel for one head.

    On-chip memory is what the kernel's IR keeps alive at its fullest point: the tiles, without the copies that
    software pipelining adds. `DerivationError` if no formula that is linear in each of B_M, B_N and d_h gives what one
    program does at every sample.
    """
    samples = {point: _sample(subject, dtype, point) for point in (*_SOLVED, *_HELD_OUT)}
    if len({len(sample.live_bytes) for sample in samples.values()}) > 1:
        raise DerivationError(f"the IR of the kernel has other operations for other {', '.join(NAMES)}")
    traffic = _through_all({point: sample.program_bytes for point, sample in samples.items()})
    points_of_kernel = zip(*(sample.live_bytes for sample in samples.values()), strict=True)
    levels = [_through_all(dict(zip(samples, level, strict=True))) for level in dict.fromkeys(points_of_kernel)]
    programs = size_symbol(_LENGTH) / size_symbol("B_M")
    return {
        TILED_TRAFFIC: Formula.of(sp.expand(traffic * programs)),
        TILED_MEMORY: Formula.of(sp.Max(*undominated(levels), evaluate=False)),
    }


def _sample(subject: Subject, dtype: torch.dtype, point: Point) -> _Sample:
    sizes = dict(zip(NAMES, point, strict=True))
    trace = trace_forward(replace(subject, sizes=(_LENGTH,), fixed={**subject.fixed, **sizes}), dtype)
    issued = sp.Add(*(record.read_bytes + record.write_bytes for record in trace.records))
    n, tiles = size_symbol(_LENGTH), size_symbol("tiles")
    aligned = sizes["B_M"] * sizes["B_N"]
    in_tiles = sp.expand(issued.xreplace({ELEMENT: sp.Integer(dtype.itemsize), n: aligned * tiles}))
    if not in_tiles.is_polynomial(tiles):
        raise DerivationError(f"the bytes of a kernel with {sizes} are no polynomial in n where its tiles divide n")
    per_program = in_tiles.xreplace({tiles: n / aligned}) * sizes["B_M"] / n
    return _Sample(sp.expand(per_program), trace.sram_bytes)


def _through_all(samples: Mapping[Point, sp.Expr]) -> sp.Expr:
    """The expression in B_M, B_N and d_h that takes the value of every sample."""
    found = _through(NAMES, {point: samples[point] for point in _SOLVED})
    for point, value in samples.items():
        sizes = {size_symbol(name): sp.Integer(size) for name, size in zip(NAMES, point, strict=True)}
        if sp.expand(found.xreplace(sizes) - value) != 0:
            raise DerivationError(f"what a program does is not linear in each of {', '.join(NAMES)}: not so at {point}")
    return found


def _through(names: Sequence[str], samples: Mapping[Point, sp.Expr]) -> sp.Expr:
    """The polynomial of least degrees through a full grid of samples."""
    if not names:
        return samples[()]
    groups: dict[int, dict[Point, sp.Expr]] = {}
    for (value, *others), expression in samples.items():
        groups.setdefault(value, {})[tuple(others)] = expression
    return polynomial(names[0], {value: _through(names[1:], group) for value, group in groups.items()})
