"""Regressions as small patches: each makes one of the `SUBJECTS` cost more (or other) than it did.

`named` is what the report's first finding must point at: a step, a kernel, or the operation that is at fault.
"""

from dataclasses import dataclass

Patch = tuple[str, str]


@dataclass(frozen=True)
class Mutant:
    """One regression: in `file` of the subject, every `patches` pair (old text, which stands there once; new text)."""

    name: str
    subject: str
    file: str
    patches: tuple[Patch, ...]
    named: str


def _one(name: str, subject: str, file: str, old: str, new: str, named: str) -> Mutant:
    return Mutant(name, subject, file, ((old, new),), named)


_SCORES = "scores = q.reshape(b, h_kv, group * n, d_h) @ k.transpose(-2, -1)"
_SOFTMAX = "weights = torch.softmax(scores, dim=-1)"
_VALUES = "return (weights @ v).view(b, h, n, d_h)"
_FORWARD, _LAUNCH = (f"tfcost_kernels/flash/{name}.py" for name in ("forward", "attention"))
_AUTOGRAD, _ROWS = (f"tfcost_kernels/common/{name}.py" for name in ("autograd", "rows"))

STANDARD = (
    _one(
        "second softmax",
        "standard",
        "attention.py",
        _SOFTMAX,
        f"{_SOFTMAX}\n        weights = weights.softmax(-1)",
        "softmax",
    ),
    _one(
        "softmax in float32",
        "standard",
        "attention.py",
        _SOFTMAX,
        "weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(v.dtype)",
        "softmax",
    ),
    _one(
        "softmax written out",
        "standard",
        "attention.py",
        _SOFTMAX,
        "weights = torch.exp(torch.log_softmax(scores, dim=-1))",
        "softmax",
    ),
    _one(
        "extra pass over K",
        "standard",
        "attention.py",
        _SCORES,
        f"{_SCORES}\n        scores = (scores + q.reshape(b, h_kv, group * n, d_h) @ k.transpose(-2, -1)) / 2",
        "scores",
    ),
    _one(
        "one key too many",
        "standard",
        "attention.py",
        _SCORES,
        "k, v = (torch.cat([x, x[:, :, :1]], dim=2) for x in (k, v))\n        " + _SCORES,
        "scores",
    ),
    _one(
        "scale as an n×n tensor",
        "standard",
        "attention.py",
        "scores = scores * d_h**-0.5",
        "scores = scores * torch.full_like(scores, 0.125)",
        "scores",
    ),
    _one(
        "values in float32",
        "standard",
        "attention.py",
        _VALUES,
        "return (weights.float() @ v.float()).to(q.dtype).view(b, h, n, d_h)",
        "values",
    ),
    _one(
        "output copied",
        "standard",
        "attention.py",
        _VALUES,
        "return (weights @ v).view(b, h, n, d_h).clone()",
        "values",
    ),
    _one(
        "keys copied per head",
        "standard",
        "attention.py",
        _SCORES,
        "k = k.unsqueeze(2).expand(-1, -1, group, -1, -1).reshape(b, h, m, d_h)\n"
        "        scores = (q @ k.transpose(-2, -1)).view(b, h_kv, group * n, m)",
        "scores",
    ),
    _one(
        "mask in float32",
        "causal",
        "attention.py",
        'scores = scores.masked_fill(masks.hidden(masks.causal, n, m, q.device), float("-inf"))',
        "scores = scores + masks.hidden(masks.causal, n, m, q.device).to(q.dtype) * -1e9",
        "mask",
    ),
    _one(
        "mask for every head",
        "causal",
        "attention.py",
        "masks.hidden(masks.causal, n, m, q.device)",
        "masks.hidden(masks.causal, n, m, q.device).expand(b, h_kv, group, n, m).clone()",
        "mask",
    ),
)
FLASH = (
    _one(
        "flash falls back to math",
        "dispatch",
        "entry.py",
        "return flash_attention(q, k, v)",
        "return (q @ k.transpose(-2, -1) * 0.125).softmax(-1) @ v",
        "attention",
    ),
    _one(
        "causal bound dropped",
        "flash-causal",
        _FORWARD,
        "stop = tl.minimum(first_row + BM + m - n, m)",
        "stop = m",
        "forward_kernel",
    ),
    _one(
        "causal bound a tile late",
        "flash-causal",
        _FORWARD,
        "stop = tl.minimum(first_row + BM + m - n, m)",
        "stop = tl.minimum(first_row + BM + BN + m - n, m)",
        "forward_kernel",
    ),
    _one(
        "masked tiles from the first on",
        "flash-causal",
        _FORWARD,
        "stride_kn, stride_vn, row, full, stop, n, m, scale_log2,",
        "stride_kn, stride_vn, row, 0, stop, n, m, scale_log2,",
        "forward_kernel",
    ),
    _one(
        "wrong tile",
        "flash",
        "tfcost_kernels/flash/tiles.py",
        "64: Tiles(Tile(128, 64, 8, 3)",
        "64: Tiles(Tile(64, 64, 8, 3)",
        "forward_kernel",
    ),
    _one(
        "wrong tile backward",
        "flash",
        "tfcost_kernels/flash/tiles.py",
        "64: Tiles(Tile(128, 64, 8, 3), Tile(32, 64, 4, 3), Tile(128, 64, 8, 3))",
        "64: Tiles(Tile(128, 64, 8, 3), Tile(32, 64, 4, 3), Tile(64, 64, 8, 3))",
        "dq_kernel",
    ),
    _one(
        "K read twice",
        "flash",
        _FORWARD,
        "        k = load_columns(k_head, stride_kn, first, m, D, BN, MASKED)\n",
        "        k = load_columns(k_head, stride_kn, first, m, D, BN, MASKED)\n"
        "        row_sum += tl.sum(load_rows(k_head, stride_kn, first, m, D, BN, MASKED).to(tl.float32)) * 0.0\n",
        "forward_kernel.tt.load",
    ),
    Mutant(
        "output in float32",
        "flash",
        _LAUNCH,
        (
            ("    o = torch.empty_like(q)", "    o = torch.empty_like(q, dtype=torch.float32)"),
            ("    return o, lse\n", "    return o.to(q.dtype), lse\n"),
        ),
        "_to_copy",
    ),
    _one(
        "statistics kept in inference",
        "flash",
        _AUTOGRAD,
        "return launches.forward(q, k, v, *indices, save_lse=False)[0]",
        "return launches.forward(q, k, v, *indices, save_lse=True)[0]",
        "aten.empty",
    ),
    _one(
        "saved tensor leaked",
        "flash",
        _AUTOGRAD,
        "ctx.save_for_backward(q, k, v, *indices, o, lse)",
        "ctx.save_for_backward(q.clone(), k, v, *indices, o, lse)",
        "aten.clone",
    ),
    _one(
        "statistics in float64",
        "flash",
        _LAUNCH,
        "lse = torch.empty((b, h, n), dtype=torch.float32",
        "lse = torch.empty((b, h, n), dtype=torch.float64",
        "aten.empty",
    ),
    _one(
        "delta without its kernel",
        "flash",
        _LAUNCH,
        "delta = launch_delta(o, do, tiles.dq.rows)",
        "delta = (o.float() * do.float()).sum(-1)",
        "aten.mul",
    ),
    _one(
        "gradients zeroed first",
        "flash",
        _LAUNCH,
        "dk, dv = torch.empty_like(k), torch.empty_like(v)",
        "dk, dv = torch.zeros_like(k), torch.zeros_like(v)",
        "aten.zeros_like",
    ),
    _one(
        "keys copied",
        "flash",
        _AUTOGRAD,
        "q, k, v = (rows_contiguous(t) for t in (q, k, v))",
        "q, k, v = (t.clone() for t in (q, k, v))",
        "aten.clone",
    ),
    _one(
        "store not masked",
        "flash",
        _ROWS,
        "tl.store(place, tile.to(head.dtype.element_ty), mask=(first + local)[:, None] < rows)",
        "tl.store(place, tile.to(head.dtype.element_ty))",
        "tt.store",
    ),
    _one(
        "scores computed again",
        "flash",
        "tfcost_kernels/common/gradients.py",
        'dp = tl.dot(do, v, input_precision="ieee")\n',
        'dp = tl.dot(do, v, input_precision="ieee") + 0.0 * tl.dot(do, k, input_precision="ieee")\n',
        "dq_kernel.tt.dot",
    ),
    _one(
        "window's lower end lost",
        "window",
        "tfcost_kernels/window/ranges.py",
        "low = tl.maximum(first - w, 0)\n        full_low",
        "low = 0\n        full_low",
        "forward_kernel",
    ),
    _one(
        "window twice as wide",
        "window",
        "tfcost_kernels/window/ranges.py",
        "low = tl.maximum(first - w, 0)\n        full_low",
        "low = tl.maximum(first - 2 * w, 0)\n        full_low",
        "forward_kernel",
    ),
)
LINEAR = (
    _one(
        "n×n again",
        "linear",
        "linear.py",
        '        numerator = q @ state\n    with step("normaliser"):\n        return (',
        '        numerator = (q @ k.transpose(-2, -1)) @ v\n    with step("normaliser"):\n        return (',
        "values",
    ),
    _one(
        "state in float32",
        "linear",
        "linear.py",
        "return k.transpose(-2, -1) @ v, k.sum",
        "return (k.float().transpose(-2, -1) @ v.float()).to(v.dtype), k.sum",
        "state",
    ),
    _one(
        "feature map twice",
        "linear",
        "linear.py",
        "        q, k = phi(q), phi(k)\n    q = q.reshape(b, h_kv, (h // h_kv) * n, d_h)",
        "        q, k = phi(phi(q)), phi(k)\n    q = q.reshape(b, h_kv, (h // h_kv) * n, d_h)",
        "feature map",
    ),
    _one(
        "sum of keys as a product",
        "linear",
        "linear.py",
        "k.sum(dim=-2, keepdim=True).transpose(-2, -1)",
        "k.transpose(-2, -1) @ torch.ones_like(v[..., :1])",
        "state",
    ),
    _one(
        "normaliser for every column",
        "linear",
        "linear.py",
        "return (numerator / (q @ keys + EPSILON)).view(",
        "return (numerator / (q @ keys.expand(-1, -1, d_h, d_h) + EPSILON)).view(",
        "normaliser",
    ),
)
NETWORK = (
    _one(
        "activation in float32",
        "ffn",
        "ffn.py",
        "hidden = ACTIVATIONS[activation](hidden)",
        "hidden = ACTIVATIONS[activation](hidden.float()).to(x.dtype)",
        "activation",
    ),
    _one(
        "activation written out",
        "ffn",
        "ffn.py",
        "hidden = ACTIVATIONS[activation](hidden)",
        "hidden = hidden * torch.sigmoid(1.702 * hidden)",
        "activation",
    ),
    _one(
        "first layer twice",
        "ffn",
        "ffn.py",
        "hidden = F.linear(x, w_1, b_1)",
        "hidden = F.linear(x, w_1, b_1) + F.linear(x, w_1, b_1)",
        "first layer",
    ),
    _one(
        "weights transposed by a copy",
        "ffn",
        "ffn.py",
        "return F.linear(hidden, w_2, b_2)",
        "return hidden @ w_2.t().clone()",
        "second layer",
    ),
    _one(
        "a wider network",
        "ffn",
        "ffn.py",
        "hidden = F.linear(x, w_1, b_1)",
        "w_1, w_2 = torch.cat([w_1, w_1]), torch.cat([w_2, w_2], dim=1)\n        hidden = F.linear(x, w_1, b_1)",
        "first layer",
    ),
    _one(
        "query projected twice",
        "layer",
        "layers.py",
        "q = _split_heads(F.linear(x, w_q, b_q), h, d_h, strided)",
        "q = _split_heads(F.linear(F.linear(x, w_q, b_q), w_q.t()) @ w_q.t(), h, d_h, strided)",
        "projections",
    ),
    _one(
        "output projection in float32",
        "layer",
        "layers.py",
        "return F.linear(_merge_heads(out, strided), w_o, b_o)",
        "return F.linear(_merge_heads(out, strided).float(), w_o.float(), b_o).to(x.dtype)",
        "output projection",
    ),
    _one(
        "heads copied twice",
        "layer",
        "layers.py",
        "k = _split_heads(F.linear(x, w_k, b_k), h_kv, d_h, strided)",
        "k = _split_heads(F.linear(x, w_k, b_k), h_kv, d_h, strided).clone()",
        "projections",
    ),
)
REST = (
    _one(
        "checkpoint no longer applies",
        "recompute",
        "recompute.py",
        "return _recomputed(partial(transformer_layer, core=core, **rest), x)",
        "return transformer_layer(x, core=core, **rest)",
        "softmax",
    ),
    _one("only the core is recomputed", "recompute", "entry.py", '"layer"', '"attention"', "activation"),
    _one(
        "checkpoint of a copy",
        "recompute",
        "recompute.py",
        "return _recomputed(partial(transformer_layer, core=core, **rest), x)",
        "return _recomputed(partial(transformer_layer, core=core, **rest), x.clone())",
        "aten.clone",
    ),
    _one(
        "top-k became k+1",
        "top-k",
        "top_k.py",
        "scores.topk(blocks, dim=-1",
        "scores.topk(blocks + 1, dim=-1",
        "kernel",
    ),
    _one(
        "every pair is scored",
        "top-k",
        "top_k.py",
        "return queries @ _block_means(k.unsqueeze(2)).transpose(-2, -1)",
        "whole = queries @ k.transpose(-2, -1)\n    return whole.unflatten(-1, (-1, BLOCK)).mean(-1)",
        "selection",
    ),
    _one(
        "block means in float32",
        "top-k",
        "top_k.py",
        "scores = block_scores(q, k)",
        "scores = block_scores(q.float(), k.float())",
        "selection",
    ),
    _one(
        "every expert for every token",
        "moe",
        "moe.py",
        "rows = padded.index_select(0, slot_of // k).view(-1, c, tokens.shape[1])",
        "rows = tokens.expand(w_gate.shape[0], -1, -1)",
        "experts",
    ),
    _one(
        "twice the capacity",
        "moe",
        "moe.py",
        "row_of, slot_of = capacity_places(chosen, w_router.shape[0], c)",
        "c = 2 * c\n        row_of, slot_of = capacity_places(chosen, w_router.shape[0], c)",
        "experts",
    ),
    _one(
        "experts combined in float32",
        "moe",
        "moe.py",
        "out = (by_slot * scale.to(x.dtype).unsqueeze(-1)).sum(1)\n    return _with",
        "out = (by_slot.float() * scale.unsqueeze(-1)).sum(1).to(x.dtype)\n    return _with",
        "combine",
    ),
    _one(
        "router runs twice",
        "moe",
        "moe.py",
        'scale, chosen = route(tokens, w_router, k)\n    with step("order"):\n        row_of',
        "scale, chosen = route(tokens, w_router, k)\n        scale, _ = route(tokens, w_router, k)\n"
        '    with step("order"):\n        row_of',
        "router",
    ),
    _one(
        "cache computed again",
        "cache",
        "entry.py",
        "    token = x[:, -1:]\n",
        "    token = x[:, -1:]\n    k_cache = (x @ w_k.t()).unflatten(-1, (-1, d_h)).transpose(1, 2).contiguous()\n",
        "other",
    ),
    Mutant(
        "cache copied to grow",
        "cache",
        "kv_cache.py",
        (
            ("import torch.nn.functional as F", "import torch\nimport torch.nn.functional as F"),
            (
                "k_cache.narrow(2, m - 1, 1).copy_(key)",
                "k_cache = torch.cat([k_cache.narrow(2, 0, m - 1), key], dim=2)",
            ),
        ),
        "cache",
    ),
    _one(
        "cache in float32",
        "cache",
        "kv_cache.py",
        "out = core(q, k_cache, v_cache)",
        "out = core(q.float(), k_cache.float(), v_cache.float()).to(x.dtype)",
        "other",
    ),
)

MUTANTS = (*STANDARD, *FLASH, *LINEAR, *NETWORK, *REST)
