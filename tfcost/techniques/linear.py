"""Linear attention: softmax replaced by a feature map φ, so that φ(Q)(φ(K)ᵀV) needs no n×m matrix.

Full: one d_h×d_h state per key/value head. Causal: chunks of c queries; the state of all earlier keys serves a chunk
as a whole, and inside the chunk a c×c triangle of scores is used (Katharopoulos et al. 2020; Hua et al. 2022). Written
out in torch here; fused, by the Triton kernels in `kernels/linear`; and step by step with a constant state (`decode`).
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfcost.derive.subject import Size, Subject
from tfcost.derive.subject import Tensor as Given
from tfcost.derive.technique import Claim, Option, Technique, Variant
from tfcost.formula import Formula
from tfcost.steps import step
from tfcost.techniques.flash import HEAD_WIDTHS
from tfcost.techniques.variants import HEADS, Setting, attention_variants
from tfcost_kernels.common.shapes import check_attention_shapes
from tfcost_kernels.linear import causal_linear_attention, linear_attention, linear_decode_step
from tfcost_kernels.linear.tiles import CHUNK

FEATURE_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "exp": torch.exp,
    "elu+1": lambda x: F.elu(x) + 1,
}
# Keeps the normaliser away from zero: a ReLU may switch every key off.
EPSILON = 1e-6
_DEFAULT_MAP = "elu+1"


def attention(q: Tensor, k: Tensor, v: Tensor, feature_map: str = _DEFAULT_MAP) -> Tensor:
    """φ(Q)(φ(K)ᵀV) / φ(Q)Σφ(K). q: [b, h, n, d_h]; k, v: [b, h_kv, m, d_h]; returns [b, h, n, d_h].

    Raises ValueError for shapes that do not fit together, or another feature map.
    """
    check_attention_shapes(q, k, v)
    b, h, n, d_h = q.shape
    h_kv = k.shape[1]
    phi = _feature_map(feature_map)
    with step("feature map"):
        q, k = phi(q), phi(k)
    q = q.reshape(b, h_kv, (h // h_kv) * n, d_h)
    state, keys = _state(k, v)
    with step("values"):
        numerator = q @ state
    with step("normaliser"):
        return (numerator / (q @ keys + EPSILON)).view(b, h, n, d_h)


def causal_attention(q: Tensor, k: Tensor, v: Tensor, c: int = 64, feature_map: str = _DEFAULT_MAP) -> Tensor:
    """The same where query i sees keys j <= i + m - n only, in chunks of `c` queries.

    q: [b, h, n, d_h]; k, v: [b, h_kv, m, d_h] with m >= n; returns [b, h, n, d_h]. An n that c does not divide is
    filled up with zeros. Raises ValueError for shapes that do not fit together, a c below 1, another feature map.
    """
    check_attention_shapes(q, k, v)
    n = q.shape[2]
    if c < 1:
        raise ValueError(f"a chunk has at least 1 query, got c = {c}")
    if k.shape[2] < n:
        raise ValueError(f"causal linear attention needs m >= n keys, got n = {n}, m = {k.shape[2]}")
    chunks = -(-n // c)
    return chunked_attention(q, k, v, chunks, c, chunks * c - n, feature_map)


def chunked_attention(
    q: Tensor, k: Tensor, v: Tensor, chunks: int, c: int, padding: int = 0, feature_map: str = _DEFAULT_MAP
) -> Tensor:
    """`causal_attention` with its chunks given: n = chunks·c - padding."""
    b, h, n, d_h = q.shape
    h_kv, earlier = k.shape[1], k.shape[2] - n
    phi = _feature_map(feature_map)
    with step("feature map"):
        q, k = phi(q), phi(k)
    first_state, first_keys = _state(k[:, :, :earlier], v[:, :, :earlier])
    k, v = k[:, :, earlier:], v[:, :, earlier:]
    if padding != 0:
        with step("padding"):
            q, k, v = (torch.cat([x, x.new_zeros(b, x.shape[1], padding, d_h)], dim=2) for x in (q, k, v))
    rows = (h // h_kv) * c
    # The query heads of one key/value head are stacked inside each chunk: [b, h_kv, chunks, rows, d_h].
    q = q.reshape(b, h_kv, h // h_kv, chunks, c, d_h).transpose(2, 3).reshape(b, h_kv, chunks, rows, d_h)
    k = k.reshape(b, h_kv, chunks, c, d_h)
    v = v.reshape(b, h_kv, chunks, c, d_h)
    states, keys = _state(k, v)
    with step("running state"):
        # What a chunk sees from before it: the sum over earlier chunks, its own not included.
        states = states.cumsum(dim=2) - states + first_state.unsqueeze(2)
        keys = keys.cumsum(dim=2) - keys + first_keys.unsqueeze(2)
    with step("scores"):
        scores = q @ k.transpose(-2, -1)
        scores = scores.view(b, h_kv, chunks, h // h_kv, c, c).tril().view(b, h_kv, chunks, rows, c)
    with step("values"):
        numerator = scores @ v + q @ states
    with step("normaliser"):
        out = numerator / (scores.sum(dim=-1, keepdim=True) + q @ keys + EPSILON)
    out = out.view(b, h_kv, chunks, h // h_kv, c, d_h).transpose(2, 3).reshape(b, h, chunks * c, d_h)
    return out[:, :, :n]


def fused_attention(q: Tensor, k: Tensor, v: Tensor, feature_map: str = _DEFAULT_MAP) -> Tensor:
    """`attention` by the Triton kernels."""
    with step("attention kernel"):
        o: Tensor = linear_attention(q, k, v, feature_map=feature_map)
        return o


def fused_causal_attention(q: Tensor, k: Tensor, v: Tensor, c: int = CHUNK, feature_map: str = _DEFAULT_MAP) -> Tensor:
    """`causal_attention` by the Triton kernels, in their own chunk unless told otherwise."""
    with step("attention kernel"):
        o: Tensor = causal_linear_attention(q, k, v, c, feature_map=feature_map)
        return o


def decode_step(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor, keys: Tensor, feature_map: str = _DEFAULT_MAP
) -> Tensor:
    """One token: its key and value into the state, then its output from the state. q: [b, h, 1, d_h]; k, v:
    [b, h_kv, 1, d_h]; state: [b, h_kv, d_h, d_h]; keys: [b, h_kv, d_h], the sum of φ(k); returns [b, h, 1, d_h].
    """
    with step("attention kernel"):
        o: Tensor = linear_decode_step(q, k, v, state, keys, feature_map=feature_map)
        return o


def _feature_map(name: str) -> Callable[[Tensor], Tensor]:
    if name not in FEATURE_MAPS:
        raise ValueError(f"feature map {name!r} is not one of {tuple(FEATURE_MAPS)}")
    return FEATURE_MAPS[name]


def _state(k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Σ φ(k)vᵀ [..., d_h, d_h] and Σ φ(k) [..., d_h, 1] over the keys of the last but one dimension."""
    with step("state"):
        return k.transpose(-2, -1) @ v, k.sum(dim=-2, keepdim=True).transpose(-2, -1)


def _variants() -> Iterator[Variant]:
    for name in FEATURE_MAPS:
        scopes = ("core", "layer", "block") if name == _DEFAULT_MAP else ("core", "layer")
        options = {"causal": False, "feature_map": name, "fused": False}
        yield from attention_variants(attention, Setting({"feature_map": name}), options, scopes=scopes)
        yield from _causal(name, False, False, False, ("core",))
        yield from _causal(name, False, True, False, ("core",))
    yield from _causal(_DEFAULT_MAP, False, False, False, ("layer", "block"))
    yield from _causal(_DEFAULT_MAP, False, True, False, ("layer",))
    yield from _causal(_DEFAULT_MAP, False, False, True, ("core",))
    yield from _causal(_DEFAULT_MAP, True, False, False, ("core", "layer"))
    yield from _causal(_DEFAULT_MAP, True, True, False, ("core", "layer"))
    yield from _fused()


def _causal(name: str, grouped: bool, padded: bool, earlier: bool, scopes: tuple[str, ...]) -> Iterator[Variant]:
    """The chunked form runs different code when query heads share keys, when the last chunk is filled up, and when
    there are keys before the first query; each is derived by itself.
    """
    n = "t*c-p" if padded else "t*c"
    symbols = ["t", "c", *(["p"] if padded else []), *(["e"] if earlier else [])]
    setting = Setting(
        {"chunks": Size("t"), "c": Size("c"), "padding": Size("p") if padded else 0, "feature_map": name},
        n=n,
        m=f"{n}+e" if earlier else n,
        symbols=tuple(symbols),
        fixed={} if grouped else {"r": 1},
        hints={"p": 3, "e": 5},
        substitutions=(
            *((("p", "c*t-n"), ("t", "ceiling(n/c)")) if padded else (("t", "n/c"),)),
            ("e", "m-n"),
            *((("r", "h/h_kv"),) if grouped else (("h_kv", "h"),)),
        ),
        assumptions=(
            "c does not divide n: the last chunk is filled up" if padded else "c divides n",
            "n > c, else torch skips copies, and less memory is alive in the backward pass",
            "m > n, b*h_kv > 1: keys before the first query" if earlier else "m = n",
            "h_kv divides h, h_kv < h" if grouped else "h_kv = h",
        ),
    )
    options = {"causal": True, "feature_map": name, "fused": False, "grouped": grouped, "padded": padded,
               "earlier_keys": earlier}  # fmt: skip
    yield from attention_variants(chunked_attention, setting, options, scopes=scopes)


def _fused() -> Iterator[Variant]:
    """The kernels: any n, with heads that share keys or not, but one chunk length."""
    for width, name in product(HEAD_WIDTHS, FEATURE_MAPS):
        scopes = ("core", "layer") if name == _DEFAULT_MAP else ("core",)
        common: dict[str, Any] = {"fixed": {"d_h": width}, "strided": True}
        kinds: dict[str, Any] = {"scopes": scopes, "dtypes": ("bfloat16", "float16")}
        yield from attention_variants(
            fused_attention, Setting({"feature_map": name}, **common),
            {"causal": False, "feature_map": name, "fused": True}, reference=attention, **kinds,
        )  # fmt: skip
        yield from attention_variants(
            fused_causal_attention,
            Setting({"c": CHUNK, "feature_map": name}, m="n", symbols=("n",), **common,
                    assumptions=("h_kv divides h", "m = n", f"the kernel's own chunks of {CHUNK}")),
            {"causal": True, "feature_map": name, "fused": True}, **kinds,
        )  # fmt: skip
    for width in HEAD_WIDTHS:
        yield Variant("core", {"feature_map": _DEFAULT_MAP, "fused": True}, _step(width), (("r", "h/h_kv"),),
                      ("h_kv divides h", "the state is kept in float32"), dtypes=("bfloat16", "float16"),
                      backward=False, forward="decode")  # fmt: skip


def _step(width: int) -> Subject:
    one = Given("b,h_kv,1,d_h")
    state = Given("b,h_kv,d_h,d_h", dtype=torch.float32)
    arguments = {"q": Given(f"b,{HEADS},1,d_h"), "k": one, "v": one, "state": state,
                 "keys": Given("b,h_kv,d_h", dtype=torch.float32)}  # fmt: skip
    return Subject(decode_step, arguments, ("b", "h_kv", "r"), {"d_h": width})


TECHNIQUE = Technique(
    name="linear",
    title="Linear attention",
    section="2.2",
    implementation="torch",
    summary="A feature map instead of softmax: the keys and values of a head become one d_h×d_h state.",
    options={
        "causal": Option((False, True), False, "queries see no later keys; computed in chunks of c"),
        "feature_map": Option(tuple(FEATURE_MAPS), _DEFAULT_MAP, "what replaces the exponential of softmax"),
        "fused": Option((False, True), False, "computed by Triton kernels, not by torch operations"),
    },
    defaults={"c": 64},
    claims=(
        Claim("2.2", "time", Formula("n*d**2"), "time O(nd²)"),
        Claim("2.2", "space", Formula("n*d"), "space O(nd)"),
    ),
    variants=_variants,
)
