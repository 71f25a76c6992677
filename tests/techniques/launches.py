"""Derived Triton launches of a technique against what the interpreter counts, at one point."""

from collections.abc import Mapping

import sympy as sp
import torch
from oracles.evaluation import evaluate

from tfcost.derive.subject import Subject
from tfcost.derive.trace import trace_backward, trace_forward

# An atomic addition reads and writes.
AMOUNTS = {"matmul_flops": ("dot",), "read_bytes": ("load", "atomic"), "write_bytes": ("store", "atomic")}
# Kept with the subject, so that its identity is not taken by another one.
_derived: dict[int, tuple[Subject, tuple[dict[str, sp.Expr], dict[str, sp.Expr]]]] = {}


def check_launches(
    subject: Subject, sizes: Mapping[str, int], inference: Mapping[str, int], both: Mapping[str, int], rows: int,
    *, whole: bool = True,
) -> None:  # fmt: skip
    """`inference` is what a forward pass does, `both` what one for training and a backward pass do, `rows` those of all
    heads. Not `whole`: some listed keys do not exist, and the derived bytes are a bound.
    """
    # In training the forward kernel stores a number in fp32 per row and head, too.
    saved = {"store": 4 * rows}
    gradients = {kind: both[kind] - inference.get(kind, 0) - saved.get(kind, 0) for kind in both}
    for passed, real in zip(_launches(subject), (inference, gradients), strict=True):
        for amount, kinds in AMOUNTS.items():
            derived, true = evaluate(passed[amount], sizes), sum(real.get(kind, 0) for kind in kinds)
            assert derived == true if whole or amount == "matmul_flops" else derived >= true, (amount, sizes)


def _launches(subject: Subject) -> tuple[dict[str, sp.Expr], dict[str, sp.Expr]]:
    """The amounts of all launches, forward and backward, derived once per subject."""
    if id(subject) not in _derived:
        found = [trace(subject, torch.float16) for trace in (trace_forward, trace_backward)]
        forward, backward = (
            {name: sp.Add(*(getattr(r, name) for r in one.records if r.launch)) for name in AMOUNTS} for one in found
        )
        _derived[id(subject)] = subject, (forward, backward)
    return _derived[id(subject)][1]
