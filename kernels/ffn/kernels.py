"""Triton kernels of the gated activation: out = act(gate)*up, and its gradients.

In and out: flat arrays of `total` elements by pointer. Grid: (ceil(total/BLOCK),). Arithmetic is in fp32.
"""

import triton
import triton.language as tl

from tfcost_kernels.ffn.activations import activate, activate_with_slope


@triton.jit
def gated_kernel(gate_ptr, up_ptr, out_ptr, total, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr):
    """Write act(gate)*up."""
    element = tl.cast(tl.program_id(0), tl.int64) * BLOCK + tl.arange(0, BLOCK)
    gate = tl.load(gate_ptr + element, mask=element < total)
    up = tl.load(up_ptr + element, mask=element < total)
    out = activate(gate.to(tl.float32), ACTIVATION) * up.to(tl.float32)
    tl.store(out_ptr + element, out.to(out_ptr.dtype.element_ty), mask=element < total)


@triton.jit
def gated_backward_kernel(
    gate_ptr, up_ptr, dout_ptr, dgate_ptr, dup_ptr, total, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr
):
    """Write dgate = dout*up*act'(gate) and dup = dout*act(gate)."""
    element = tl.cast(tl.program_id(0), tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = element < total
    gate = tl.load(gate_ptr + element, mask=inside).to(tl.float32)
    up = tl.load(up_ptr + element, mask=inside).to(tl.float32)
    dout = tl.load(dout_ptr + element, mask=inside).to(tl.float32)
    activated, slope = activate_with_slope(gate, ACTIVATION)
    tl.store(dgate_ptr + element, (dout * up * slope).to(dgate_ptr.dtype.element_ty), mask=inside)
    tl.store(dup_ptr + element, (dout * activated).to(dup_ptr.dtype.element_ty), mask=inside)
