"""The recurrent form of causal linear attention: one token at a time, with memory that does not grow.

In: q [b,h,1,d_h], k and v [b,h_kv,1,d_h] of the new token, the state [b,h_kv,d_h,d_h] and the key sum [b,h_kv,d_h] in
fp32. Out: [b,h,1,d_h]; state and key sum are updated in place.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from tfcost_kernels.common.rows import head_start
from tfcost_kernels.linear.checks import check_inputs, check_step
from tfcost_kernels.linear.features import EPSILON, feature
from tfcost_kernels.linear.launch import rows_contiguous


@triton.jit
def decode_kernel(
    q_ptr, k_ptr, v_ptr, state_ptr, keys_ptr, o_ptr,
    stride_qb, stride_qh, stride_kb, stride_kh, stride_vb, stride_vh, stride_ob, stride_oh, kv_heads, group, epsilon,
    MAP: tl.constexpr, D: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """Add the token to one key/value head's state and answer the `group` query heads that share it.

    Grid: (b*kv_heads,).
    """
    batch = tl.program_id(0) // kv_heads
    kv_head = tl.program_id(0) % kv_heads
    width = tl.arange(0, D)
    k = tl.load(head_start(k_ptr, batch, kv_head, stride_kb, stride_kh) + width).to(tl.float32)
    v = tl.load(head_start(v_ptr, batch, kv_head, stride_vb, stride_vh) + width).to(tl.float32)
    k = feature(k, MAP)
    flat_head = tl.cast(tl.program_id(0), tl.int64)
    state_tile = state_ptr + flat_head * (D * D) + (width[:, None] * D + width[None, :])
    keys_row = keys_ptr + flat_head * D + width
    state = tl.load(state_tile) + k[:, None] * v[None, :]
    keys = tl.load(keys_row) + k
    tl.store(state_tile, state)
    tl.store(keys_row, keys)
    for member in range(group):
        head = kv_head * group + member
        q = tl.load(head_start(q_ptr, batch, head, stride_qb, stride_qh) + width).to(tl.float32)
        q = feature(q, MAP)
        o = tl.sum(q[:, None] * state, 0)
        if NORMALISE:
            o = o / (tl.sum(q * keys, 0) + epsilon)
        tl.store(head_start(o_ptr, batch, head, stride_ob, stride_oh) + width, o.to(o_ptr.dtype.element_ty))


def linear_decode_step(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    state: Tensor,
    keys: Tensor,
    *,
    feature_map: str = "elu+1",
    normalise: bool = True,
) -> Tensor:
    """The next row of causal linear attention: q [b,h,1,d_h], k and v [b,h_kv,1,d_h]; returns [b,h,1,d_h].

    `state` [b,h_kv,d_h,d_h] is Σ φ(k)vᵀ and `keys` [b,h_kv,d_h] is Σ φ(k) of the tokens so far (zeros at the start),
    both contiguous and fp32; the new token is added to them in place. Not differentiable. Raises ValueError for what
    the kernel lacks.
    """
    check_inputs(q, k, v, feature_map, decode_kernel)
    check_step(q, k, state, keys)
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        raise ValueError("a decode step updates its state in place and has no gradient; call it under torch.no_grad()")
    q, k, v = (rows_contiguous(tensor) for tensor in (q, k, v))
    b, h_kv, _, d_h = k.shape
    o = torch.empty_like(q)
    head_strides = [stride for tensor in (q, k, v, o) for stride in tensor.stride()[:2]]
    decode_kernel[(b * h_kv,)](
        q, k, v, state, keys, o, *head_strides, h_kv, q.shape[1] // h_kv, EPSILON,
        MAP=feature_map, D=d_h, NORMALISE=normalise, num_warps=8 if d_h == 128 else 4, num_stages=1,
    )  # fmt: skip
    return o
