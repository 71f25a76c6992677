"""The standard ways to call an attention core: alone, inside its four projections, and as a residual block.

Every attention technique is derived in these scopes: `core` on given Q, K, V; `layer` with the projections; `block`
with bias, residual and normalisation, as models use it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from torch import Tensor as TorchTensor

from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Mask, Variant
from tfcost.formula import Formula
from tfcost.techniques.layers import attention_layer, residual
from tfcost.techniques.masks import Predicate

Attention = Callable[..., TorchTensor]
# How models surround a block: the place of the layer norm, and whether projections have biases.
SURROUNDINGS = (("none", False), ("pre", False), ("pre", True), ("post", True))
SCOPES = ("core", "layer", "block")
HEADS = "h_kv*r"


@dataclass(frozen=True, slots=True)
class Setting:
    """How an attention core is called: its own `arguments` beside q, k, v (plain values or `Size`s), the expressions
    of n and m in the sizes `symbols`, sizes with a `fixed` value, and what auxiliary sizes stand for.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    n: str = "n"
    m: str = "m"
    symbols: tuple[str, ...] = ("n", "m")
    fixed: Mapping[str, int] = field(default_factory=dict)
    hints: Mapping[str, int] = field(default_factory=dict)
    substitutions: tuple[tuple[str, str], ...] = (("r", "h/h_kv"),)
    assumptions: tuple[str, ...] = ("h_kv divides h",)
    strided: bool = False

    def sizes(self, *others: str, keys: bool = True) -> tuple[str, ...]:
        """All size symbols that are not fixed; without `keys`, those of a layer, whose keys are its queries."""
        of_keys = Formula(self.m).symbols - Formula(self.n).symbols
        own = [name for name in self.symbols if keys or name not in of_keys]
        return tuple(name for name in ("b", "h_kv", "r", *own, "d_h", *others) if name not in self.fixed)


def attention_variants(
    attention: Attention,
    setting: Setting,
    options: Mapping[str, object],
    *,
    predicate: Predicate | None = None,
    reference: Attention | None = None,
    scopes: tuple[str, ...] = SCOPES,
    dtypes: tuple[str, ...] = ("bfloat16", "float16", "float32"),
) -> Iterator[Variant]:
    """Variants of `attention(q, k, v, **setting.arguments)`, one per scope (and surroundings).

    `predicate` is its mask, called with the sizes among `setting.arguments`; `reference(q, k, v)`, given the tensors
    among them too, an attention without a mask that says what the mathematics asks for (None: `attention` itself).
    """
    own_sizes = tuple(name for name, value in setting.arguments.items() if isinstance(value, Size))
    own_keys = setting.m != setting.n

    def mask(scope: str) -> Mask | None:
        keys = "m" if own_keys and scope == "core" else "n"
        return Mask(predicate, own_sizes, keys=keys) if predicate else None

    # Biases, norms and residuals multiply no matrices: a block's reference is that of its layer.
    make_ideal = {"core": core_subject, "layer": layer_subject, "block": layer_subject}
    tensors = tuple((name, value) for name, value in setting.arguments.items() if isinstance(value, Tensor))
    ideals = {scope: _reference_subject(reference, make, setting.n, setting.m, setting.symbols, tensors)
              for scope, make in make_ideal.items()} if reference else {}  # fmt: skip

    # A reference serves every value of the sizes that are fixed.
    meanings = (*setting.substitutions, *((name, str(value)) for name, value in setting.fixed.items()))

    def variant(scope: str, make: Callable[..., Subject], *how: Any, **chosen: object) -> Variant:
        ideal = ideals.get(scope)
        # Around the core, keys and queries come from the same tokens.
        same = ("m = n",) if own_keys and scope != "core" and "m = n" not in setting.assumptions else ()
        return Variant(
            scope, {**options, **chosen}, make(attention, setting, *how), meanings, (*setting.assumptions, *same),
            ideal, mask(scope), part="attention" if scope == "block" else "", dtypes=dtypes,
        )  # fmt: skip

    if "core" in scopes:
        yield variant("core", core_subject)
    if "layer" in scopes:
        yield variant("layer", layer_subject)
    if "block" in scopes:
        for norm, bias in SURROUNDINGS:
            yield variant("block", block_subject, norm, bias, norm=norm, bias=bias)


@cache
def _reference_subject(
    reference: Attention, make: Callable[..., Subject], n: str, m: str, symbols: tuple[str, ...],
    tensors: tuple[tuple[str, Tensor], ...],
) -> Subject:  # fmt: skip
    """One subject per reference, scope and shapes, so that it is traced once for all variants."""
    shapes = (n, m, *(size for _, tensor in tensors for size in tensor.shape.split(",")))
    used = frozenset[str]().union(*(Formula(size).symbols for size in shapes))
    return make(reference, Setting(dict(tensors), n, m, tuple(name for name in symbols if name in used)))


def core_subject(attention: Attention, setting: Setting) -> Subject:
    """q, k, v given; n queries, m keys."""
    keys = Tensor(f"b,h_kv,{setting.m},d_h")
    arguments = {"q": Tensor(f"b,{HEADS},{setting.n},d_h"), "k": keys, "v": keys, **setting.arguments}
    return Subject(attention, arguments, setting.sizes(), setting.fixed, setting.hints)


def layer_subject(attention: Attention, setting: Setting) -> Subject:
    """X and the four projection matrices, no biases."""

    def layer(x: TorchTensor, **rest: Any) -> TorchTensor:
        return attention_layer(x, **_with_core(attention, setting, rest))

    return _layer(layer, setting, {})


def block_subject(attention: Attention, setting: Setting, norm: str, bias: bool) -> Subject:
    """X + attention(norm(x)) and its relatives."""

    def block(x: TorchTensor, scale: TorchTensor | None = None, shift: TorchTensor | None = None,
              **rest: Any) -> TorchTensor:  # fmt: skip
        return residual(x, lambda y: attention_layer(y, **_with_core(attention, setting, rest)), norm, scale, shift)

    return _layer(block, setting, {**biases(bias), **norm_weights(norm)})


def _layer(function: Attention, setting: Setting, more: Mapping[str, Tensor]) -> Subject:
    sizes = {"h": Size(HEADS), "h_kv": Size("h_kv"), "d_h": Size("d_h")}
    arguments = {"x": Tensor(f"b,{setting.n},d"), **projections(), **more, **sizes, **setting.arguments}
    return Subject(function, arguments, setting.sizes("d", keys=False), setting.fixed, setting.hints)


def _with_core(attention: Attention, setting: Setting, rest: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `attention_layer`: those that belong to the core are bound to it."""
    own = {name: rest[name] for name in setting.arguments}
    others = {name: value for name, value in rest.items() if name not in own}
    return {**others, "core": lambda q, k, v: attention(q, k, v, **own), "strided": setting.strided}


def projections() -> dict[str, Tensor]:
    """The four projection matrices."""
    query, keys = f"{HEADS}*d_h", "h_kv*d_h"
    weights = {"w_q": f"{query},d", "w_k": f"{keys},d", "w_v": f"{keys},d", "w_o": f"d,{query}"}
    return {name: Tensor(shape, "parameter") for name, shape in weights.items()}


def biases(present: bool) -> dict[str, Tensor]:
    """The biases of the four projections, if there are any."""
    shapes = {"b_q": f"{HEADS}*d_h", "b_k": "h_kv*d_h", "b_v": "h_kv*d_h", "b_o": "d"} if present else {}
    return {name: Tensor(shape, "parameter") for name, shape in shapes.items()}


def norm_weights(norm: str) -> dict[str, Tensor]:
    """Scale and shift of a layer norm over d, if there is one."""
    return {} if norm == "none" else {name: Tensor("d", "parameter") for name in ("scale", "shift")}
