"""Operations that move, make or index data: bytes and no arithmetic (sums of scattered gradients apart)."""

import sympy as sp

from tfcost.derive.rules.registry import ZERO, Amounts, Call, rule


@rule("aten._unsafe_view", "aten.lift_fresh", "aten._reshape_alias", "aten.detach", "aten.alias", "aten.squeeze_",
      "aten.unsqueeze_", "aten.t_", "aten.transpose_", "aten.as_strided_", "aten.detach_")  # fmt: skip
def _alias(call: Call) -> Amounts:
    # Those that end in _ change a tensor's shape in place, not its elements.
    return Amounts(read_bytes=ZERO, write_bytes=ZERO)


@rule("aten.empty", "aten.empty_like", "aten.empty_strided", "aten.new_empty", "aten.new_empty_strided",
      "aten.empty_permuted")  # fmt: skip
def _empty(call: Call) -> Amounts:
    # Memory is taken, nothing is written.
    return Amounts(read_bytes=ZERO, write_bytes=ZERO)


@rule("aten.zeros", "aten.zeros_like", "aten.new_zeros", "aten.ones", "aten.ones_like", "aten.new_ones", "aten.full",
      "aten.full_like", "aten.new_full", "aten.arange", "aten.scalar_tensor", "aten.fill_", "aten.zero_", "aten.rand",
      "aten.rand_like", "aten.randn", "aten.randn_like", "aten.bernoulli_", "aten.eye", "aten.linspace")  # fmt: skip
def _fill(call: Call) -> Amounts:
    return Amounts(read_bytes=ZERO)


@rule("aten.clone", "aten._to_copy", "aten.copy_", "aten.cat", "aten.stack", "aten.repeat", "aten.flip", "aten.roll",
      "aten.constant_pad_nd", "aten.contiguous", "aten.repeat_interleave")  # fmt: skip
def _copy(call: Call) -> Amounts:
    return Amounts(scalar_flops=ZERO)


@rule("aten.slice_backward", "aten.select_backward")
def _place(call: Call) -> Amounts:
    # The gradient is placed in a tensor of zeros: all of it is written.
    return Amounts(read_bytes=call.distinct_bytes(call.args[0]))


@rule("aten.embedding")
def _embedding(call: Call) -> Amounts:
    # The rows that are looked up are read, not the table.
    indices = call.args[1]
    return Amounts(read_bytes=call.distinct_bytes(call.outputs[0]) + call.distinct_bytes(indices))


@rule("aten.embedding_dense_backward")
def _embedding_backward(call: Call) -> Amounts:
    # Every gradient row is added to its row of a table of zeros.
    return Amounts(scalar_flops=call.numel(call.args[0]))


@rule("aten.index_select", "aten.gather", "aten.index")
def _gather(call: Call) -> Amounts:
    source = call.inputs[0]
    indices = [tensor for tensor in call.inputs if tensor is not source]
    picked = call.numel(call.outputs[0]) * call.sizes.element_bytes(source)
    return Amounts(read_bytes=picked + sp.Add(*(call.distinct_bytes(tensor) for tensor in indices)))
