"""Concrete arguments of a subject: its shapes evaluated at a case's sizes, filled with random numbers.

In: a variant, the sizes of a case, dtype and device. Out: what the subject's function is called with.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import torch

from tfcost.derive.subject import Size, Subject, Tensor, parse_shape
from tfcost.derive.technique import Variant
from tfcost.errors import UserError
from tfcost.formula import Formula

_INDEXED = "V"


def concrete_sizes(variant: Variant, values: Mapping[str, int | Fraction]) -> dict[str, int]:
    """A number for every size of the variant's subject. UserError if one does not follow from `values`."""
    known: dict[str, int | Fraction] = dict(values)
    # A derivation puts meanings in one after the other; later ones may stand in earlier ones.
    for name, meaning in reversed(variant.substitutions):
        known[name] = whole(meaning, known)
    known |= variant.subject.fixed
    missing = sorted(set(variant.subject.sizes) - known.keys())
    if missing:
        raise UserError(f"no value for {', '.join(missing)}, a size of {variant.scope}")
    return {name: whole(name, known) if name in variant.subject.sizes else int(size) for name, size in known.items()}


def whole(expression: str, values: Mapping[str, int | Fraction]) -> int:
    """The value of an expression that is a size. UserError if it is no whole number."""
    found = Formula(expression).evaluate(values)
    if not isinstance(found, int):
        raise UserError(f"{expression} = {found} is no whole number")
    return found


def make_arguments(
    subject: Subject, sizes: Mapping[str, int], dtype: torch.dtype, device: str, training: bool, without: str = ""
) -> dict[str, Any]:
    """The arguments of `subject`, all but the one called `without`; with `training`, inputs and parameters require
    gradients.
    """
    made: dict[str, Any] = {}
    for name, argument in subject.arguments.items():
        if name == without:
            continue
        if isinstance(argument, Tensor):
            made[name] = make_tensor(argument, sizes, dtype, device, training)
        else:
            made[name] = whole(argument.expression, sizes) if isinstance(argument, Size) else argument
    return made


def make_tensor(
    argument: Tensor, sizes: Mapping[str, int], dtype: torch.dtype, device: str, training: bool
) -> torch.Tensor:
    """One tensor: normal numbers, those of a parameter small enough that a product with it keeps its scale; an index
    holds tokens of the vocabulary.
    """
    shape = [int(dimension.evaluate(sizes)) for dimension in parse_shape(argument.shape)]
    if argument.role == "index":
        return torch.randint(0, sizes[_INDEXED], shape, device=device, dtype=argument.dtype or torch.int64)
    kind = argument.dtype or dtype
    if not kind.is_floating_point:
        return torch.randint(0, 100, shape, device=device, dtype=kind)
    made = torch.randn(shape, device=device, dtype=kind)
    if argument.role == "parameter":
        made.mul_(shape[-1] ** -0.5)
    return made.requires_grad_(training and argument.role != "constant")
