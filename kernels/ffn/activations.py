"""Triton device functions: the activations and their derivatives, in fp32.

In: a tile of pre-activations in fp32 and the activation's name. Out: act(x), or act(x) and act'(x).
"""

import triton
import triton.language as tl

ACTIVATIONS = ("silu", "gelu", "relu")

_SQRT_HALF = tl.constexpr(0.7071067811865476)
_INVERSE_SQRT_2PI = tl.constexpr(0.3989422804014327)
_HALF_LOG2E = tl.constexpr(0.7213475204444817)


@triton.jit
def activate(x, ACTIVATION: tl.constexpr):
    """silu: x/(1 + e^-x); gelu: x Φ(x), exact; relu: max(x, 0)."""
    if ACTIVATION == "silu":
        y = x * tl.sigmoid(x)
    elif ACTIVATION == "gelu":
        y = x * (0.5 + 0.5 * tl.erf(x * _SQRT_HALF))
    else:
        tl.static_assert(ACTIVATION == "relu")
        y = tl.maximum(x, 0.0)
    return y


@triton.jit
def activate_with_slope(x, ACTIVATION: tl.constexpr):
    """(act(x), act'(x)); relu's slope at 0 is 0, as in torch."""
    if ACTIVATION == "silu":
        gate = tl.sigmoid(x)
        y = x * gate
        slope = gate + y * (1.0 - gate)
    elif ACTIVATION == "gelu":
        below = 0.5 + 0.5 * tl.erf(x * _SQRT_HALF)
        y = x * below
        slope = below + x * (tl.exp2(x * x * -_HALF_LOG2E) * _INVERSE_SQRT_2PI)
    else:
        tl.static_assert(ACTIVATION == "relu")
        y = tl.maximum(x, 0.0)
        slope = tl.where(x > 0.0, 1.0, 0.0)
    return y, slope
