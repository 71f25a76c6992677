"""Searching in sorted numbers, and writing to the places that indices name."""

import sympy as sp
import torch

from tfcost.derive.rules.registry import ZERO, Amounts, Call, operation_name, rule


@rule("aten.searchsorted", "aten.bucketize")
def _search(call: Call) -> Amounts:
    # Comparing computes nothing. A binary search reads no more distinct elements than there are: all are counted once.
    return Amounts()


@rule("aten.scatter", "aten.scatter_", "aten.scatter_add", "aten.scatter_add_", "aten.index_add", "aten.index_add_",
      "aten.index_copy", "aten.index_copy_")  # fmt: skip
def _scatter(call: Call) -> Amounts:
    # A scatter's index names a place for each of its own elements, the others' one for each row of the values.
    name, (target, _, index) = operation_name(call.func).rstrip("_"), call.args[:3]
    values = [tensor for tensor in call.args[3:] if isinstance(tensor, torch.Tensor)]
    moved = call.numel(index if name.startswith("aten.scatter") else values[0])
    return _placed(call, target, [index, *values], moved, adds=name.endswith("_add"))


@rule("aten.index_put", "aten.index_put_", "aten._unsafe_index_put", "aten._index_put_impl_")
def _index_put(call: Call) -> Amounts:
    target, indices, values = call.args[:3]
    adds = bool(call.kwargs.get("accumulate", call.args[3] if len(call.args) > 3 else False))
    read = [*(index for index in indices if index is not None), values]
    return _placed(call, target, read, call.numel(values), adds)


def _placed(call: Call, target: torch.Tensor, read: list[torch.Tensor], moved: sp.Expr, adds: bool) -> Amounts:
    """Values go to the places that indices name, or are added to what stands there, which is then read too.

    Out of place, the target is copied first: it is read and the result written as a whole, the places among it.
    """
    placed = moved * call.sizes.element_bytes(target)
    given = sp.Add(*(call.distinct_bytes(tensor) for tensor in read))
    added = moved if adds and target.dtype.is_floating_point else ZERO
    if call.outputs[0] is target:
        return Amounts(scalar_flops=added, read_bytes=given + (placed if adds else ZERO), write_bytes=placed)
    return Amounts(scalar_flops=added, read_bytes=given + call.distinct_bytes(target))
