"""Changes that cost nothing: none of them may raise an alarm. The old text is replaced wherever it stands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Harmless:
    """One change of `file` of the subject: every `old` becomes `new`."""

    name: str
    subject: str
    file: str
    old: str
    new: str


_FORWARD, _LAUNCH = (f"tfcost_kernels/flash/{name}.py" for name in ("forward", "attention"))

HARMLESS = (
    Harmless(
        "comment", "standard", "attention.py", "def attention(", "# Lines move.\n\n\n# All of them.\ndef attention("
    ),
    Harmless("names and a step renamed", "standard", "attention.py", "scores", "logits"),
    Harmless("scale as a quotient", "standard", "attention.py", "d_h**-0.5", "(1 / d_h**0.5)"),
    Harmless("softmax as a method", "standard", "attention.py", "torch.softmax(scores, dim=-1)", "scores.softmax(-1)"),
    Harmless("matmul by its name", "standard", "attention.py", "(weights @ v)", "torch.matmul(weights, v)"),
    Harmless("transposed by mT", "standard", "attention.py", "k.transpose(-2, -1)", "k.mT"),
    Harmless("reshape for view", "standard", "attention.py", "(weights @ v).view(", "(weights @ v).reshape("),
    Harmless(
        "group from another size", "standard", "attention.py", "group = h // h_kv", "group = q.shape[1] // k.shape[1]"
    ),
    Harmless("no step", "standard", "attention.py", 'with step("softmax"):', "if True:"),
    Harmless("another hidden value", "causal", "attention.py", 'float("-inf")', "-1e30"),
    Harmless("accumulator renamed", "flash", _FORWARD, "acc", "total"),
    Harmless(
        "values read earlier",
        "flash",
        _FORWARD,
        '        scores = tl.dot(q, k, input_precision="ieee")  # [BM, BN]\n',
        '        scores = tl.dot(q, k, input_precision="ieee")\n        # Tiles are what they were.\n',
    ),
    Harmless(
        "dQ before dK and dV",
        "flash",
        _LAUNCH,
        "    dk, dv = launch_dk_dv(q, k, v, do, lse, delta, causal, tiles.dk_dv)\n"
        "    return launch_dq(q, k, v, do, lse, delta, causal, tiles.dq), dk, dv\n",
        "    dq = launch_dq(q, k, v, do, lse, delta, causal, tiles.dq)\n"
        "    return dq, *launch_dk_dv(q, k, v, do, lse, delta, causal, tiles.dk_dv)\n",
    ),
    Harmless(
        "ceiling by negation", "flash", _LAUNCH, "(triton.cdiv(n, tile.rows), b * h)", "(-(-n // tile.rows), b * h)"
    ),
    Harmless(
        "address in another order",
        "flash",
        "tfcost_kernels/common/rows.py",
        "pointer + tl.cast(batch, tl.int64) * stride_batch + tl.cast(head, tl.int64) * stride_head",
        "pointer + tl.cast(head, tl.int64) * stride_head + tl.cast(batch, tl.int64) * stride_batch",
    ),
    Harmless("fewer warps", "flash", "tfcost_kernels/flash/tiles.py", "Tile(128, 64, 8, 3)", "Tile(128, 64, 4, 3)"),
    Harmless(
        "loads in another order",
        "flash",
        "tfcost_kernels/common/gradients.py",
        "    do = load_rows(do_head, stride_don, first, n, D, BM)\n"
        "    delta = tl.load(delta_head + row, mask=row < n, other=0.0)\n",
        "    delta = tl.load(delta_head + row, mask=row < n, other=0.0)\n"
        "    do = load_rows(do_head, stride_don, first, n, D, BM)\n",
    ),
    Harmless(
        "bound in another order", "flash-causal", _FORWARD, "first_row + BM + m - n, m)", "m - n + BM + first_row, m)"
    ),
    Harmless(
        "whole tiles by remainder",
        "flash-causal",
        _FORWARD,
        "seen_by_first // BN * BN",
        "seen_by_first - seen_by_first % BN",
    ),
    Harmless(
        "first key in another order",
        "window",
        "tfcost_kernels/window/ranges.py",
        "tl.maximum(first - w, 0)",
        "tl.maximum(0, -w + first)",
    ),
    Harmless("rows in another order", "linear", "linear.py", "(h // h_kv) * n, d_h)", "n * (h // h_kv), d_h)"),
    Harmless("another epsilon", "linear", "linear.py", "EPSILON = 1e-6", "EPSILON = 1e-5"),
    Harmless(
        "numerator by matmul", "linear", "linear.py", "numerator = q @ state", "numerator = torch.matmul(q, state)"
    ),
    Harmless(
        "activation bound to a name",
        "ffn",
        "ffn.py",
        "hidden = ACTIVATIONS[activation](hidden)",
        "act = ACTIVATIONS[activation]\n        hidden = act(hidden)",
    ),
    Harmless(
        "a helper for the product",
        "ffn",
        "ffn.py",
        "return F.linear(hidden, w_2, b_2)",
        "project = F.linear\n        return project(hidden, weight=w_2, bias=b_2)",
    ),
    Harmless("addends swapped", "layer", "layers.py", "return x + y", "return y + x"),
    Harmless(
        "a lambda for a partial",
        "recompute",
        "recompute.py",
        "return _recomputed(partial(transformer_layer, core=core, **rest), x)",
        "return _recomputed(lambda x: transformer_layer(x, core=core, **rest), x)",
    ),
    Harmless(
        "gradients allowed where there are none",
        "top-k",
        "top_k.py",
        'with step("selection"), torch.no_grad():\n        scores = block_scores',
        'with step("selection"):\n        scores = block_scores',
    ),
    Harmless(
        "zeros by name",
        "moe",
        "moe.py",
        "tokens.new_zeros(1, tokens.shape[1])",
        "torch.zeros(1, tokens.shape[1], dtype=tokens.dtype, device=tokens.device)",
    ),
    Harmless(
        "value into the cache first",
        "cache",
        "kv_cache.py",
        "        k_cache.narrow(2, m - 1, 1).copy_(key)\n        v_cache.narrow(2, m - 1, 1).copy_(value)\n",
        "        v_cache.narrow(2, m - 1, 1).copy_(value)\n        k_cache.narrow(2, m - 1, 1).copy_(key)\n",
    ),
    Harmless(
        "last place by slicing",
        "cache",
        "kv_cache.py",
        "k_cache.narrow(2, m - 1, 1).copy_(key)",
        "k_cache[:, :, m - 1 :].copy_(key)",
    ),
)
