"""Triton kernels of AdamW: every array is read and written once, and nothing is kept besides.

In: flat arrays of `total` elements by pointer, changed in place. Grid: (ceil(total/BLOCK),). Arithmetic is in fp32.
"""

import triton
import triton.language as tl

from tfcost_kernels.optimizer.codes import decode_first, decode_second, encode_first, encode_second


@triton.jit
def _updated(weight, gradient, first, second, rate, beta_1, beta_2, epsilon, decay, rise_1, rise_2):
    """The new weight and moments, all [BLOCK] float32; rise_1, rise_2: 1 - beta**t of this step t."""
    first = beta_1 * first + (1.0 - beta_1) * gradient
    second = beta_2 * second + (1.0 - beta_2) * gradient * gradient
    size = tl.sqrt(second / rise_2) + epsilon
    weight = weight * (1.0 - rate * decay) - rate * (first / rise_1) / size
    return weight, first, second


@triton.jit
def adamw_mixed_kernel(
    weight_ptr, gradient_ptr, master_ptr, first_ptr, second_ptr, total,
    rate, beta_1, beta_2, epsilon, decay, rise_1, rise_2, BLOCK: tl.constexpr,
):  # fmt: skip
    """Update the master copy and the moments, and round the master copy to the weights."""
    element = tl.cast(tl.program_id(0), tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = element < total
    master = tl.load(master_ptr + element, mask=inside)
    gradient = tl.load(gradient_ptr + element, mask=inside).to(tl.float32)
    first = tl.load(first_ptr + element, mask=inside)
    second = tl.load(second_ptr + element, mask=inside)
    master, first, second = _updated(
        master, gradient, first, second, rate, beta_1, beta_2, epsilon, decay, rise_1, rise_2
    )
    tl.store(master_ptr + element, master, mask=inside)
    tl.store(first_ptr + element, first, mask=inside)
    tl.store(second_ptr + element, second, mask=inside)
    tl.store(weight_ptr + element, master.to(weight_ptr.dtype.element_ty), mask=inside)


@triton.jit
def adamw_8bit_kernel(
    weight_ptr, gradient_ptr, master_ptr, first_ptr, second_ptr, first_scale_ptr, second_scale_ptr, total,
    rate, beta_1, beta_2, epsilon, decay, rise_1, rise_2, MIXED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Update the weights (with MIXED the master copy, rounded to the weights) and the coded moments of one block."""
    block = tl.cast(tl.program_id(0), tl.int64)
    element = block * BLOCK + tl.arange(0, BLOCK)
    inside = element < total
    source_ptr = master_ptr if MIXED else weight_ptr
    weight = tl.load(source_ptr + element, mask=inside).to(tl.float32)
    gradient = tl.load(gradient_ptr + element, mask=inside, other=0.0).to(tl.float32)
    first = decode_first(tl.load(first_ptr + element, mask=inside, other=0), tl.load(first_scale_ptr + block))
    second = decode_second(tl.load(second_ptr + element, mask=inside, other=0), tl.load(second_scale_ptr + block))
    weight, first, second = _updated(
        weight, gradient, first, second, rate, beta_1, beta_2, epsilon, decay, rise_1, rise_2
    )
    # A block of zeros has the least positive scale, so that nothing is divided by zero.
    first_scale = tl.maximum(tl.max(tl.abs(first), 0), 1e-38)
    second_scale = tl.maximum(tl.max(second, 0), 1e-38)
    tl.store(first_scale_ptr + block, first_scale)
    tl.store(second_scale_ptr + block, second_scale)
    tl.store(first_ptr + element, encode_first(first, first_scale), mask=inside)
    tl.store(second_ptr + element, encode_second(second, second_scale), mask=inside)
    if MIXED:
        tl.store(master_ptr + element, weight, mask=inside)
    tl.store(weight_ptr + element, weight.to(weight_ptr.dtype.element_ty), mask=inside)
