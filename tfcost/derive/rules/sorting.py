"""Sorting, and the largest k.

A sort looks at its keys digit by digit, as the GPU's libraries do: one level a byte of the key, one operation per
element and level. (By comparisons it would be log2 of the length levels; formulas have no logarithm.) The largest k
are selected with the same levels over all elements, and then sorted with them if that is asked for. Where the keys are
integers this is index computation like all integer arithmetic, no FLOPs.

Bytes are those of the arguments and the results, each element once: what a library moves between its levels is not
counted.
"""

import sympy as sp

from tfcost.derive.rules.registry import ZERO, Amounts, Call, rule


def _levels(call: Call, elements: sp.Expr) -> sp.Expr:
    """One operation per element and byte of the key; none for integers."""
    keys = call.inputs[0]
    return elements * call.sizes.element_bytes(keys) if keys.dtype.is_floating_point else ZERO


@rule("aten.sort", "aten.argsort")
def _sort(call: Call) -> Amounts:
    return Amounts(scalar_flops=_levels(call, call.numel(call.inputs[0])))


@rule("aten.topk")
def _topk(call: Call) -> Amounts:
    in_order = call.kwargs.get("sorted", call.args[4] if len(call.args) > 4 else True)
    chosen = call.numel(call.outputs[0]) if in_order else ZERO
    return Amounts(scalar_flops=_levels(call, call.numel(call.inputs[0]) + chosen))
