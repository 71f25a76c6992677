"""Collectives: the bytes they are given, by the definition that their sizes go by in libraries of collectives.

All-reduce: its buffer; all-gather: what is gathered; reduce-scatter: what is scattered; all-to-all: all that is sent
away or kept; a shift and a send: what is sent. Receiving is the other end of a send and counts none. How many bytes of
these a GPU sends depends on the algorithm: `techniques/parallel/ring.py`.
"""

import sympy as sp
import torch

from tfcost.derive.rules.registry import ZERO, Amounts, Call, rule


def _bytes(call: Call, tensor: torch.Tensor) -> sp.Expr:
    return call.numel(tensor) * call.sizes.element_bytes(tensor)


def _additions(call: Call) -> sp.Expr:
    """A sum of p values takes p - 1 additions; the p GPUs share them out evenly."""
    size = call.sizes.expr(call.args[2])
    return call.numel(call.args[0]) * (size - 1) / size


@rule("tfcost.all_reduce_", "tfcost.all_reduce_max_", "tfcost.reduce_scatter")
def _reduction(call: Call) -> Amounts:
    return Amounts(scalar_flops=_additions(call), communicated_bytes=_bytes(call, call.args[0]), group=call.args[1])


@rule("tfcost.all_gather")
def _all_gather(call: Call) -> Amounts:
    return Amounts(communicated_bytes=_bytes(call, call.outputs[0]), group=call.args[1])


@rule("tfcost.all_gather_")
def _all_gather_in_place(call: Call) -> Amounts:
    # This GPU's own part is read, the others' are written.
    whole, size = _bytes(call, call.args[0]), call.sizes.expr(call.args[2])
    own = whole / size
    return Amounts(read_bytes=own, write_bytes=whole - own, communicated_bytes=whole, group=call.args[1])


@rule("tfcost.all_to_all", "tfcost.shift", "tfcost.send")
def _sent(call: Call) -> Amounts:
    return Amounts(communicated_bytes=_bytes(call, call.args[0]), group=call.args[1])


@rule("tfcost.receive_")
def _received(call: Call) -> Amounts:
    return Amounts(read_bytes=ZERO, group=call.args[1])
