"""Recomputation's stacks of L layers, run for real: the layers' own functions, one after the other, a training step."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from tfcost.book import Book
from tfcost.derive.subject import Tensor
from tfcost.evidence.record import Case
from tfcost.measure.arguments import concrete_sizes, make_arguments, make_tensor
from tfcost.measure.program import Program, dtype_of, run_link, variant_for
from tfcost.techniques.recompute import Weights, stack

_LAYER_WITH = {"segments": "none"}


def stack_program(case: Case, book: Book, device: str) -> Program:
    """The training step of a stack: `case` has scope "stack", its variant names attention and policy."""
    policy = str(case.variant["policy"])
    layer = Case(
        case.technique, "layer", "backward", case.dtype,
        {**case.variant, "policy": _LAYER_WITH.get(policy, policy)}, case.sizes, case.seed,
    )  # fmt: skip
    variant = variant_for(layer, book)
    sizes, dtype = concrete_sizes(variant, case.sizes), dtype_of(case)
    subject = variant.subject
    x = subject.arguments["x"]
    assert isinstance(x, Tensor)

    def prepare() -> dict[str, Any]:
        torch.manual_seed(case.seed)
        return {"layers": [make_arguments(subject, sizes, dtype, device, True, "x") for _ in range(case.sizes["L"])]}

    make_x = partial(make_tensor, x, sizes, dtype, device, False)
    if policy == "segments":
        core = {name: subject.function.keywords[name] for name in ("core", "strided")}  # type: ignore[attr-defined]
        return Program(prepare, partial(run_link, partial(stack, s=case.sizes["s"], **core), make_x, "train"))
    return Program(prepare, partial(run_link, partial(_in_turn, subject.function), make_x, "train"))


def _in_turn(function: Callable[..., torch.Tensor], x: torch.Tensor, layers: Sequence[Weights]) -> torch.Tensor:
    for weights in layers:
        x = function(x, **weights)
    return x
