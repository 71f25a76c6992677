"""Triton kernels: products of sorted rows with the weights of their expert.

In: activations by row or by token, weights [E,...] by pointer and strides, the plan's maps. Out: one row per sorted
row, or per slot (README.md). A program owns BM rows by BN columns.
Grid: (BAND, ceil(columns/BN), ceil(W/BAND)) for a map of W places: BAND row tiles sweep the columns together.
"""

import triton
import triton.language as tl

from tfcost_kernels.ffn.activations import activate


@triton.jit
def _weight_tile(w_expert, column, start, stride_row, stride_column, BK: tl.constexpr):
    """Addresses [BK, BN] of the weights that take the inner elements start..start+BK-1 to the columns."""
    inner = start + tl.arange(0, BK)
    return w_expert + (column[None, :] * stride_column + inner[:, None] * stride_row)


@triton.jit
def _accumulate(
    acc, a_row, w_expert, column, start, stop, columns, stride_wi, stride_wc,
    BK: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Add A[:, start:stop] times the weights to acc [BM, BN]; MASKED where stop - start is no multiple of BK."""
    for at in range(start, stop, BK):
        inner = at + tl.arange(0, BK)
        inside = column[None, :] < columns
        if MASKED:
            a = tl.load(a_row[:, None] + inner[None, :], mask=inner[None, :] < stop, other=0.0)
            inside = inside & (inner[:, None] < stop)
        else:
            a = tl.load(a_row[:, None] + inner[None, :])
        w = tl.load(_weight_tile(w_expert, column, at, stride_wi, stride_wc, BK), mask=inside, other=0.0)
        acc = tl.dot(a, w, acc, input_precision="ieee")
    return acc


@triton.jit
def _product(acc, a_row, w_expert, column, inner, columns, stride_wi, stride_wc, BK: tl.constexpr):
    """Add all of A times the weights: whole steps first, without comparing inner indices."""
    whole = inner // BK * BK
    acc = _accumulate(acc, a_row, w_expert, column, 0, whole, columns, stride_wi, stride_wc, BK, False)
    return _accumulate(acc, a_row, w_expert, column, whole, inner, columns, stride_wi, stride_wc, BK, True)


@triton.jit
def _accumulate_pair(
    gate, up, x_row, gate_expert, up_expert, column, start, stop, columns,
    stride_gi, stride_gc, stride_ui, stride_uc, BK: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """As `_accumulate`, for two weights that share the tiles of x."""
    for at in range(start, stop, BK):
        inner = at + tl.arange(0, BK)
        inside = column[None, :] < columns
        if MASKED:
            x = tl.load(x_row[:, None] + inner[None, :], mask=inner[None, :] < stop, other=0.0)
            inside = inside & (inner[:, None] < stop)
        else:
            x = tl.load(x_row[:, None] + inner[None, :])
        w_gate = tl.load(_weight_tile(gate_expert, column, at, stride_gi, stride_gc, BK), mask=inside, other=0.0)
        gate = tl.dot(x, w_gate, gate, input_precision="ieee")
        w_up = tl.load(_weight_tile(up_expert, column, at, stride_ui, stride_uc, BK), mask=inside, other=0.0)
        up = tl.dot(x, w_up, up, input_precision="ieee")
    return gate, up


@triton.jit
def gate_up_kernel(
    x_ptr, gate_w_ptr, up_w_ptr, hidden_ptr, gate_ptr, up_ptr, order_ptr, expert_ptr, first_ptr, stop_ptr, tiles_ptr,
    stride_xt, stride_ge, stride_gf, stride_gd, stride_ue, stride_uf, stride_ud,
    choices, d, f, ACTIVATION: tl.constexpr, SAVE: tl.constexpr, BAND: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """hidden[row] = act(x W_gate^T) * (x W_up^T) of the row's token; SAVE keeps both products for the backward pass."""
    tile = tl.program_id(2) * BAND + tl.program_id(0)
    if tile >= tl.load(tiles_ptr):
        return
    expert = tl.load(expert_ptr + tile).to(tl.int64)
    first = tl.load(first_ptr + tile)
    stop = tl.load(stop_ptr + tile)
    row = first + tl.arange(0, BM)
    column = tl.program_id(1) * BN + tl.arange(0, BN)
    # Rows past the stop compute with token 0 and are not stored.
    token = tl.load(order_ptr + row, mask=row < stop, other=0) // choices
    x_row = x_ptr + token.to(tl.int64) * stride_xt
    gate = tl.zeros([BM, BN], tl.float32)
    up = tl.zeros([BM, BN], tl.float32)
    gate_expert = gate_w_ptr + expert * stride_ge
    up_expert = up_w_ptr + expert * stride_ue
    whole = d // BK * BK
    gate, up = _accumulate_pair(
        gate, up, x_row, gate_expert, up_expert, column, 0, whole, f,
        stride_gd, stride_gf, stride_ud, stride_uf, BK, False,
    )  # fmt: skip
    gate, up = _accumulate_pair(
        gate, up, x_row, gate_expert, up_expert, column, whole, d, f,
        stride_gd, stride_gf, stride_ud, stride_uf, BK, True,
    )  # fmt: skip
    start = tl.cast(first, tl.int64) * f
    place = tl.arange(0, BM)[:, None] * f + column[None, :]
    inside = (row < stop)[:, None] & (column < f)[None, :]
    # The backward pass sees the products as they are stored, so the activation does too.
    gate = gate.to(hidden_ptr.dtype.element_ty)
    up = up.to(hidden_ptr.dtype.element_ty)
    hidden = activate(gate.to(tl.float32), ACTIVATION) * up.to(tl.float32)
    tl.store(hidden_ptr + start + place, hidden.to(hidden_ptr.dtype.element_ty), mask=inside)
    if SAVE:
        tl.store(gate_ptr + start + place, gate, mask=inside)
        tl.store(up_ptr + start + place, up, mask=inside)


@triton.jit
def product_kernel(
    a_ptr, w_ptr, a2_ptr, w2_ptr, scale_ptr, out_ptr, order_ptr, expert_ptr, first_ptr, stop_ptr, tiles_ptr,
    stride_a, stride_we, stride_wi, stride_wc, stride_w2e, stride_w2i, stride_w2c,
    choices, inner, columns,
    GATHER: tl.constexpr, SCALED: tl.constexpr, PAIRED: tl.constexpr, BAND: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """GATHER: out[row] = A[token] W. Otherwise out[slot] = A[row] W, plus A2[row] W2 if PAIRED, times scale[slot] if
    SCALED. W takes `inner` to `columns` elements; A2 has A's strides.
    """
    tile = tl.program_id(2) * BAND + tl.program_id(0)
    if tile >= tl.load(tiles_ptr):
        return
    expert = tl.load(expert_ptr + tile).to(tl.int64)
    first = tl.load(first_ptr + tile)
    stop = tl.load(stop_ptr + tile)
    row = first + tl.arange(0, BM)
    column = tl.program_id(1) * BN + tl.arange(0, BN)
    slot = tl.load(order_ptr + row, mask=row < stop, other=0)
    # Rows past the stop compute with a row that exists and are not stored.
    source = slot // choices if GATHER else tl.where(row < stop, row, 0)
    target = row if GATHER else slot
    acc = tl.zeros([BM, BN], tl.float32)
    offset = source.to(tl.int64) * stride_a
    acc = _product(acc, a_ptr + offset, w_ptr + expert * stride_we, column, inner, columns, stride_wi, stride_wc, BK)
    if PAIRED:
        w2_expert = w2_ptr + expert * stride_w2e
        acc = _product(acc, a2_ptr + offset, w2_expert, column, inner, columns, stride_w2i, stride_w2c, BK)
    if SCALED:
        acc *= tl.load(scale_ptr + slot)[:, None]
    place = target.to(tl.int64)[:, None] * columns + column[None, :]
    inside = (row < stop)[:, None] & (column < columns)[None, :]
    tl.store(out_ptr + place, acc.to(out_ptr.dtype.element_ty), mask=inside)
