"""What is derived: a function, the symbolic shapes of its arguments, and which sizes are symbols.

Built-in techniques and a user's own function are described by the same `Subject`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from tfcost.derive.errors import DerivationError
from tfcost.derive.sizes import Sizes
from tfcost.formula import Formula

Role = Literal["input", "parameter", "index", "constant"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor argument: `shape` in symbols ("b,h,n,d_h"), its role, and a dtype if not the run's own.

    An "input" and a "parameter" get gradients; an "index" (integers: tokens, targets) and a "constant" (tables that are
    made once for all layers) do not.
    """

    shape: str
    role: Role = "input"
    dtype: torch.dtype | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """An argument that is a size itself: passed to the function as a symbolic integer."""

    expression: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A function and how to call it. `arguments` are passed by name: `Tensor`s, `Size`s or plain values.

    `sizes` are the names that stay symbolic, `fixed` those with a number.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    sizes: tuple[str, ...]
    fixed: Mapping[str, int] = field(default_factory=dict)
    hints: Mapping[str, int] = field(default_factory=dict)


def build_arguments(subject: Subject, sizes: Sizes, dtype: torch.dtype, training: bool) -> dict[str, Any]:
    """The subject's arguments on symbolic sizes; with `training`, inputs and parameters require gradients."""
    made: dict[str, Any] = {}
    for name, argument in subject.arguments.items():
        if isinstance(argument, Tensor):
            made[name] = _build_tensor(argument, subject, sizes, dtype, training)
        elif isinstance(argument, Size):
            made[name] = sizes.build(Formula(argument.expression).sympy, subject.fixed)
        else:
            made[name] = argument
    return made


def parse_shape(text: str) -> tuple[Formula, ...]:
    """A shape such as "b,h,n,2*d_h" as formulas, one a dimension; "" is a scalar's."""
    return tuple(Formula(part) for part in text.split(",")) if text.strip() else ()


def _build_tensor(argument: Tensor, subject: Subject, sizes: Sizes, dtype: torch.dtype, training: bool) -> torch.Tensor:
    known = set(subject.sizes) | set(subject.fixed)
    shape = []
    for dimension in parse_shape(argument.shape):
        unknown = dimension.symbols - known
        if unknown:
            raise DerivationError(f"shape '{argument.shape}' uses '{min(unknown)}', which is no declared size")
        shape.append(sizes.build(dimension.sympy, subject.fixed))
    kind = argument.dtype or (torch.int64 if argument.role == "index" else dtype)
    tensor = torch.empty(shape, dtype=kind)
    return tensor.requires_grad_(training and argument.role in ("input", "parameter"))
