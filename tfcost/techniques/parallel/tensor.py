"""Tensor and sequence parallelism: the parts of a model as one of T GPUs runs them.

Every part is a link of a chain (`Variant.part`). The option `rows` says whether the rows between the regions are whole
on every GPU or split: "whole" (Shoeybi et al. 2019, arXiv 1909.08053) or "split" (Korthikanti et al. 2022, arXiv
2205.05198).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor as TorchTensor

from tfcost.collectives import group_of
from tfcost.derive.subject import Size, Subject, Tensor
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.techniques import flash, standard
from tfcost.techniques.ffn import ACTIVATIONS
from tfcost.techniques.parallel import blocks, vocabulary
from tfcost.techniques.variants import HEADS, SURROUNDINGS, Attention, biases, norm_weights, projections

GROUP = "T"
_ROWS = {"whole": "b,n,d", "split": "b*j,d"}
# A GPU's own sizes, and what they are in the model's: heads, hidden width, words, rows of each sequence.
_OWN = {"h_kv": "h_kv/T", "r": "h/h_kv", "f": "f/T", "V": "V/T", "j": "n/T"}
_ALL = "T*j"
_EVERY_DTYPE, _HALVES = ("bfloat16", "float16", "float32"), ("bfloat16", "float16")
_CORES: tuple[tuple[str, Attention, bool, Mapping[str, int], tuple[str, ...]], ...] = (
    ("standard", standard.attention, False, {}, _EVERY_DTYPE),
    *(("flash", flash.attention, True, {"d_h": width}, _HALVES) for width in flash.HEAD_WIDTHS),
)


def on_group(function: Callable[..., TorchTensor], symbol: str = GROUP) -> Callable[..., TorchTensor]:
    """`function` with the number of GPUs, an argument called `symbol`, as its `group`."""

    def run(**arguments: Any) -> TorchTensor:
        return function(group=group_of(symbol, arguments.pop(symbol)), **arguments)

    return run


def _variant(
    scope: str, options: Mapping[str, object], function: Callable[..., TorchTensor], arguments: Mapping[str, Any],
    sizes: tuple[str, ...], fixed: Mapping[str, int] | None = None,
    dtypes: tuple[str, ...] = _EVERY_DTYPE,
) -> Variant:  # fmt: skip
    """One part; the sizes of `_OWN` among `sizes` are those of one GPU."""
    fixed = fixed or {}
    names = tuple(name for name in (*sizes, GROUP) if name not in fixed)
    subject = Subject(on_group(function), {**arguments, GROUP: Size(GROUP)}, names, fixed)
    meanings = tuple((name, _OWN[name]) for name in sizes if name in _OWN)
    divided = tuple(dict.fromkeys(text.partition("/")[0] for _, text in meanings if text.endswith(f"/{GROUP}")))
    conditions = (*(("h_kv divides h",) if "r" in sizes else ()), *(f"T divides {name}" for name in divided))
    return Variant(scope, options, subject, meanings, conditions, part=str(options["part"]), dtypes=dtypes)


def _attention(rows: str, name: str, causal: bool, norm: str, bias: bool) -> Iterator[Variant]:
    for kind, core, strided, fixed, dtypes in _CORES:
        if kind != name:
            continue
        run = partial(blocks.tensor_attention if rows == "whole" else blocks.sequence_attention, norm=norm,
                      core=partial(core, causal=causal), strided=strided)  # fmt: skip
        sizes: dict[str, Any] = {"h": Size(HEADS), "h_kv": Size("h_kv"), "d_h": Size("d_h")}
        if rows == "split":
            sizes |= {"b": Size("b"), "n": Size(_ALL)}
        arguments = {"x": Tensor(_ROWS[rows]), **projections(), **biases(bias), **norm_weights(norm), **sizes}
        options = {"part": "attention", "attention": kind, "causal": causal, "rows": rows, "norm": norm, "bias": bias}
        names = ("b", "h_kv", "r", "n" if rows == "whole" else "j", "d_h", "d")
        yield _variant("block", options, run, arguments, names, fixed, dtypes)


def _ffn(rows: str, activation: str, norm: str, bias: bool) -> Variant:
    run = partial(blocks.tensor_ffn if rows == "whole" else blocks.sequence_ffn, norm=norm, activation=activation)
    shapes = {"w_1": "f,d", "w_2": "d,f", **({"b_1": "f", "b_2": "d"} if bias else {})}
    if activation == "swiglu":
        shapes |= {"w_gate": "f,d", **({"b_gate": "f"} if bias else {})}
    arguments: dict[str, Any] = {"x": Tensor(_ROWS[rows]), **norm_weights(norm)}
    arguments |= {name: Tensor(shape, "parameter") for name, shape in shapes.items()}
    if rows == "split":
        arguments["rows"] = Size(f"b*{_ALL}")
    options = {"part": "ffn", "activation": activation, "rows": rows, "norm": norm, "bias": bias}
    return _variant("block", options, run, arguments, ("b", "n" if rows == "whole" else "j", "d", "f"))


def _ends(rows: str) -> Iterator[Variant]:
    """Embedding, last norm, head and loss."""
    split = rows == "split"
    own, every = ({"rows": Size("b*j")}, {"rows": Size(f"b*{_ALL}")}) if split else ({}, {})
    words = Tensor(f"b,{_ALL}" if split else "b,n", "index")
    sizes = ("b", "j" if split else "n", "d", "V")
    x, table = Tensor(_ROWS[rows]), Tensor("V,d", "parameter")
    for positions in (False, True):
        more = {"positions": Tensor("P,d", "parameter")} if positions else {}
        arguments = {"tokens": words, "table": table, **more, **own}
        options = {"part": "embedding", "rows": rows, "positions": positions}
        yield _variant("part", options, vocabulary.embed, arguments, (*sizes, *(["P"] if positions else [])))
    if split:
        options = {"part": "norm", "rows": rows}
        yield _variant("part", options, vocabulary.last_norm, {"x": x, **norm_weights("pre")}, ("b", "j", "d"))
    arguments = {"x": x, "table": table, "targets": words, **every}
    yield _variant("part", {"part": "head and loss", "rows": rows}, vocabulary.head_loss, arguments, sizes)


def _variants() -> Iterator[Variant]:
    for rows in _ROWS:
        for norm, bias in SURROUNDINGS:
            for causal in (False, True):
                for name in ("standard", "flash"):
                    yield from _attention(rows, name, causal, norm, bias)
            for activation in ACTIVATIONS:
                yield _ffn(rows, activation, norm, bias)
        yield from _ends(rows)


TECHNIQUE = Technique(
    name="tensor-parallel",
    title="Tensor and sequence parallelism",
    section="",
    implementation="torch",
    summary="T GPUs share out heads, hidden width and vocabulary, and exchange rows at both ends of every block.",
    options={
        "rows": Option(tuple(_ROWS), "whole", "rows between blocks: all on every GPU, or split (sequence parallel)"),
    },
    defaults={"T": 2},
    variants=_variants,
)
