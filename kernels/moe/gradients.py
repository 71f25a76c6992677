"""Triton kernels of the backward pass: the gated activation per row, and the gradients of the weights per expert.

In: saved products and incoming gradients by row or token, the plan's maps. Out: gradients (README.md, "Backward").
"""

import triton
import triton.language as tl

from tfcost_kernels.ffn.activations import activate_with_slope


@triton.jit
def activation_backward_kernel(
    gate_ptr, up_ptr, dhidden_ptr, scale_ptr, order_ptr, dgate_ptr, dup_ptr, scaled_ptr, dscale_ptr, f,
    ACTIVATION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One sorted row: dgate, dup, scale*hidden, and dscale[slot] = hidden . dhidden. Grid: (T*k,).

    `dhidden` is the gradient before the router's weight, so hidden . dhidden is that weight's gradient.
    """
    row = tl.program_id(0)
    slot = tl.load(order_ptr + row)
    scale = tl.load(scale_ptr + slot)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, f, BLOCK):
        column = start + tl.arange(0, BLOCK)
        place = tl.cast(row, tl.int64) * f + column
        gate = tl.load(gate_ptr + place, mask=column < f, other=0.0).to(tl.float32)
        up = tl.load(up_ptr + place, mask=column < f, other=0.0).to(tl.float32)
        dhidden = tl.load(dhidden_ptr + place, mask=column < f, other=0.0).to(tl.float32)
        activated, slope = activate_with_slope(gate, ACTIVATION)
        hidden = activated * up
        total += hidden * dhidden
        dhidden *= scale
        tl.store(dgate_ptr + place, (dhidden * up * slope).to(dgate_ptr.dtype.element_ty), mask=column < f)
        tl.store(dup_ptr + place, (dhidden * activated).to(dup_ptr.dtype.element_ty), mask=column < f)
        tl.store(scaled_ptr + place, (hidden * scale).to(scaled_ptr.dtype.element_ty), mask=column < f)
    tl.store(dscale_ptr + slot, tl.sum(total, 0))


@triton.jit
def weight_grad_kernel(
    a_ptr, b_ptr, dw_ptr, order_ptr, starts_ptr, ends_ptr,
    stride_a, stride_b, stride_we, stride_wa, stride_wb, choices, rows, a_width, b_width,
    BAND: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """dW[e][i, j] = sum over the rows r of expert e of A[r, i]*B[token(r), j], with W's own strides.

    Grid: (BAND, ceil(b_width/BN), experts*ceil(ceil(a_width/BM)/BAND)). An expert without rows gets 0.
    """
    bands = tl.cdiv(tl.cdiv(a_width, BM), BAND)
    expert = tl.program_id(2) // bands
    first_column = (tl.program_id(2) % bands * BAND + tl.program_id(0)) * BM
    if first_column >= a_width:
        return
    a_column = first_column + tl.arange(0, BM)
    b_column = tl.program_id(1) * BN + tl.arange(0, BN)
    start = tl.load(starts_ptr + expert)
    # `rows` bounds what is loaded: no expert has more than all rows.
    count = tl.minimum(tl.load(ends_ptr + expert) - start, rows)
    acc = tl.zeros([BM, BN], tl.float32)
    for first in range(0, count, BK):
        local = first + tl.arange(0, BK)
        row = start + local
        token = tl.load(order_ptr + row, mask=local < count, other=0) // choices
        a = tl.load(
            a_ptr + (row.to(tl.int64)[None, :] * stride_a + a_column[:, None]),
            mask=(local < count)[None, :] & (a_column < a_width)[:, None], other=0.0,
        )  # [BM, BK]  # fmt: skip
        b = tl.load(
            b_ptr + (token.to(tl.int64)[:, None] * stride_b + b_column[None, :]),
            mask=(local < count)[:, None] & (b_column < b_width)[None, :], other=0.0,
        )  # [BK, BN]  # fmt: skip
        acc = tl.dot(a, b, acc, input_precision="ieee")
    dw_expert = dw_ptr + tl.cast(expert, tl.int64) * stride_we
    place = a_column[:, None] * stride_wa + b_column[None, :] * stride_wb
    inside = (a_column < a_width)[:, None] & (b_column < b_width)[None, :]
    tl.store(dw_expert + place, acc.to(dw_ptr.dtype.element_ty), mask=inside)
