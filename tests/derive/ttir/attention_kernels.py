"""Attention kernels of the tests and their launchers: full, causal with m != n, grouped heads, windows."""

import torch
import triton
import triton.language as tl


@triton.jit
def attention(
    Q, K, V, OUT, L, stride_b, stride_h, stride_n, stride_kb, stride_kh, stride_km, H, GROUP, N, M, scale,
    D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    batch = tl.program_id(1) // H
    head = tl.program_id(1) % H
    rows = tile * BM + tl.arange(0, BM)
    width = tl.arange(0, D)
    q_start = batch * stride_b + head * stride_h
    kv_start = batch * stride_kb + (head // GROUP) * stride_kh
    q = tl.load(Q + q_start + rows[:, None] * stride_n + width[None, :], mask=rows[:, None] < N, other=0.0)
    acc = tl.zeros([BM, D], tl.float32)
    largest = tl.full([BM], float("-inf"), tl.float32)
    total = tl.zeros([BM], tl.float32)
    stop = tl.minimum((tile + 1) * BM + M - N, M) if CAUSAL else M
    for start in range(0, stop, BN):
        keys = start + tl.arange(0, BN)
        k = tl.load(K + kv_start + keys[None, :] * stride_km + width[:, None], mask=keys[None, :] < M, other=0.0)
        scores = tl.dot(q, k) * scale
        allowed = keys[None, :] < M
        if CAUSAL:
            allowed = allowed & (rows[:, None] + M - N >= keys[None, :])
        scores = tl.where(allowed, scores, -1.0e6)
        new = tl.maximum(largest, tl.max(scores, 1))
        p = tl.exp2(scores - new[:, None])
        shrink = tl.exp2(largest - new)
        total = total * shrink + tl.sum(p, 1)
        v = tl.load(V + kv_start + keys[:, None] * stride_km + width[None, :], mask=keys[:, None] < M, other=0.0)
        acc = tl.dot(p.to(tl.float16), v, acc * shrink[:, None])
        largest = new
    out = OUT + q_start + rows[:, None] * stride_n + width[None, :]
    tl.store(out, (acc / total[:, None]).to(tl.float16), mask=rows[:, None] < N)
    tl.store(L + tl.program_id(1) * N + rows, largest + tl.log2(total), mask=rows < N)


def launch_attention(b, h, group, n, m, causal, BM, BN):
    D = 16
    q, k, v = torch.randn(b, h, n, D).half(), torch.randn(b, h // group, m, D).half(), None
    v, o, lse = torch.randn_like(k), torch.empty_like(q), torch.empty(b * h * n)
    attention[(triton.cdiv(n, BM), b * h)](
        q, k, v, o, lse, *q.stride()[:3], *k.stride()[:3], h, group, n, m, 0.3, D=D, BM=BM, BN=BN, CAUSAL=causal
    )


@triton.jit
def window(
    Q, K, V, OUT, stride_h, stride_n, N, W, scale, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    base = tl.program_id(1) * stride_h
    rows = tile * BM + tl.arange(0, BM)
    width = tl.arange(0, D)
    q = tl.load(Q + base + rows[:, None] * stride_n + width[None, :], mask=rows[:, None] < N, other=0.0)
    acc = tl.zeros([BM, D], tl.float32)
    largest = tl.full([BM], float("-inf"), tl.float32)
    total = tl.zeros([BM], tl.float32)
    first = tl.maximum(tile * BM - W, 0) // BN * BN
    for start in range(first, tl.minimum((tile + 1) * BM, N), BN):
        keys = start + tl.arange(0, BN)
        k = tl.load(K + base + keys[None, :] * stride_n + width[:, None], mask=keys[None, :] < N, other=0.0)
        scores = tl.dot(q, k) * scale
        distance = rows[:, None] - keys[None, :]
        scores = tl.where((distance >= 0) & (distance <= W), scores, -1.0e6)
        new = tl.maximum(largest, tl.max(scores, 1))
        p = tl.exp2(scores - new[:, None])
        shrink = tl.exp2(largest - new)
        total = total * shrink + tl.sum(p, 1)
        v = tl.load(V + base + keys[:, None] * stride_n + width[None, :], mask=keys[:, None] < N, other=0.0)
        acc = tl.dot(p.to(tl.float16), v, acc * shrink[:, None])
        largest = new
    out = OUT + base + rows[:, None] * stride_n + width[None, :]
    tl.store(out, (acc / total[:, None]).to(tl.float16), mask=rows[:, None] < N)


def launch_window(h, n, w, BM, BN):
    D = 16
    q, k, v = (torch.randn(h, n, D).half() for _ in range(3))
    o = torch.empty_like(q)
    window[(triton.cdiv(n, BM), h)](q, k, v, o, q.stride(0), q.stride(1), n, w, 0.3, D=D, BM=BM, BN=BN)
