"""The result: what one launch of a kernel costs, per operation of its IR and in total."""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

KINDS = ("dot", "load", "store", "atomic", "scalar")


@dataclass(frozen=True, slots=True)
class Event:
    """One operation of the kernel's IR and its amount over all loops and programs.

    `kind` is dot or scalar (FLOPs), load, store or atomic (bytes of active lanes). `path` and `line` are the kernel's
    source, `ttir_line` the line of the IR text. `tensor_argument` is the kernel argument whose memory is touched ("" if
    none or not known). `bounded`: the amount is an upper bound, `note` says why.
    """

    kind: str
    operation: str
    path: str
    line: int
    ttir_line: int
    amount: sp.Expr
    tensor_argument: str = ""
    bounded: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class KernelCost:
    """`totals` has every kind of `KINDS`; `live_bytes` is what one program keeps on chip, by points (see `sram`)."""

    kernel: str
    events: tuple[Event, ...]
    totals: Mapping[str, sp.Expr]
    live_bytes: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def sram_bytes(self) -> int:
        """What one program keeps on chip at the kernel's fullest point."""
        return max(self.live_bytes)
