"""How a part of a model is described for one of T GPUs: its own sizes, its group, whole or split rows.

In: a function of `group` and of x with rows as `rows` says. Out: a `Variant` with formulas in the model's own sizes.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor as TorchTensor

from tfcost.collectives import Group, group_of
from tfcost.derive.subject import Size, Subject
from tfcost.derive.technique import Mask, Variant
from tfcost.techniques.parallel.blocks import Inner, own_weight, split_rows, whole_rows

Function = Callable[..., TorchTensor]
GROUP = "T"
# The shape of x: all rows, or those of one GPU, which are j of every sequence.
ROWS = {"whole": "b,n,d", "split": "b*j,d"}
ALL = "T*j"
# A GPU's own sizes, and what they are in the model's: heads, hidden width, words, rows of each sequence.
_OWN = {"h_kv": "h_kv/T", "r": "h/h_kv", "f": "f/T", "V": "V/T", "j": "n/T"}
EVERY_DTYPE, HALVES = ("bfloat16", "float16", "float32"), ("bfloat16", "float16")


def on_group(function: Function, symbol: str = GROUP) -> Function:
    """`function`, its argument `group` made of the number of GPUs, an argument called `symbol`."""

    def run(**arguments: Any) -> TorchTensor:
        return function(group=group_of(symbol, arguments.pop(symbol)), **arguments)

    return run


def sized(function: Function, rows: str) -> tuple[Function, dict[str, Size]]:
    """`function`, its argument `size` made of the sizes b and n where rows are split; and these."""
    if rows == "whole":
        return function, {}

    def run(b: int, n: int, **rest: Any) -> TorchTensor:
        return function(size=(b, n), **rest)

    return run, {"b": Size("b"), "n": Size(ALL)}


def length_of(rows: str) -> str:
    """The size symbol that x's rows of a sequence are."""
    return "n" if rows == "whole" else "j"


def exchanged(
    inner: Inner, group: Group, rows: str, size: tuple[int, int] | None, bias: TorchTensor | None = None
) -> Inner:
    """`inner` between the exchanges of `rows`; `size` are b and n, which split rows do not show."""
    if rows == "whole":
        return whole_rows(inner, group, bias)
    assert size is not None
    return split_rows(inner, group, *size, bias)


def of_rows(rows: str, group: Group, *weights: TorchTensor | None) -> tuple[TorchTensor | None, ...]:
    """The weights of a norm over rows that every GPU has, or over a GPU's own."""
    return tuple(own_weight(weight, group) for weight in weights) if rows == "split" else weights


def part_variant(
    scope: str, options: Mapping[str, object], function: Function, arguments: Mapping[str, Any], sizes: tuple[str, ...],
    fixed: Mapping[str, int] | None = None, dtypes: tuple[str, ...] = EVERY_DTYPE,
    meanings: tuple[tuple[str, str], ...] = (), assumptions: tuple[str, ...] = (), mask: Mask | None = None,
) -> Variant:  # fmt: skip
    """One part, called as its option `part` says. A GPU's own sizes among `sizes` are told in the model's; `meanings`
    are those of other sizes.
    """
    names = tuple(name for name in (*sizes, GROUP) if name not in (fixed or {}))
    subject = Subject(on_group(function), {**arguments, GROUP: Size(GROUP)}, names, fixed or {})
    own = tuple((name, _OWN[name]) for name in sizes if name in _OWN)
    divided = dict.fromkeys(text.partition("/")[0] for _, text in own if text.endswith(f"/{GROUP}"))
    conditions = (*assumptions, *(f"{GROUP} divides {name}" for name in divided))
    return Variant(
        scope, options, subject, (*meanings, *own), conditions, part=str(options["part"]), dtypes=dtypes, mask=mask
    )
