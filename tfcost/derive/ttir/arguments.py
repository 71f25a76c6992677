"""Binds a launch's arguments to the kernel's signature, by position.

The compiler drops constexpr parameters and may rename others, so names in the text are no guide. A pointer or scalar
takes one place; a tensor descriptor is followed by its extents and strides; tuples are flattened by the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import sympy as sp

from tfcost.derive.errors import DerivationError
from tfcost.derive.integers.convert import NotAnInteger, from_sympy
from tfcost.derive.integers.poly import Poly, Var, as_poly
from tfcost.derive.ttir.conditions import at_least
from tfcost.derive.ttir.symbols import Box, PointerTo, Symbolic, Unknown
from tfcost.derive.ttir.tree import Function, Value

# Bounded by sizes, which have depth 0.
_DECLARED_DEPTH = 1


@dataclass(frozen=True, slots=True)
class Pointer:
    """A tensor passed by address; `contents` is what each of its elements counts as, where that is declared."""

    contents: "Contents | None" = None


@dataclass(frozen=True, slots=True)
class Contents:
    """The declared value of every element of an index tensor; a plain symbol is 1 or more and `at_most` that."""

    value: sp.Expr
    at_most: sp.Expr | None = None


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A host-side tensor descriptor of a tensor with these extents, outermost first."""

    extents: tuple[sp.Expr, ...]


Argument: TypeAlias = sp.Expr | int | Pointer | Descriptor | None


def bind_arguments(kernel: Function, arguments: Mapping[str, Argument]) -> dict[Value, Symbolic]:
    """The symbolic value of each kernel parameter. Raises `DerivationError` if the arguments do not fit.

    `arguments` holds every parameter that is not a constexpr, in the order of the signature; None is a number that
    nothing counted may depend on (a float).
    """
    bound: dict[Value, Symbolic] = {}
    slots = list(kernel.arguments)
    for name, argument in arguments.items():
        width = 1 + 2 * len(argument.extents) if isinstance(argument, Descriptor) else 1
        taken, slots = slots[:width], slots[width:]
        if len(taken) < width:
            raise DerivationError(f"{kernel.location}: '{kernel.name}' takes fewer arguments than are given ({name})")
        if isinstance(argument, Descriptor):
            bound.update(_bind_descriptor(kernel, name, argument, taken))
        else:
            bound[taken[0]] = _bind(kernel, name, argument, taken[0])
    if slots:
        raise DerivationError(
            f"{kernel.location}: '{kernel.name}' takes {len(kernel.arguments)} arguments, {len(slots)} are missing"
        )
    return bound


def _bind(kernel: Function, name: str, argument: Argument, slot: Value) -> Symbolic:
    if isinstance(argument, Pointer) != (slot.type.kind == "pointer") or slot.type.kind == "descriptor":
        raise DerivationError(f"{kernel.location}: '{name}' does not fit a parameter of type {slot.type.kind}")
    if isinstance(argument, Pointer):
        return PointerTo(name, None if argument.contents is None else _declared(argument.contents))
    if slot.type.is_float or argument is None:
        return Unknown(f"the argument '{name}'")
    try:
        value = from_sympy(sp.sympify(argument))
    except NotAnInteger as error:
        raise DerivationError(f"{kernel.location}: argument '{name}': {error}") from error
    return at_least(value, as_poly(1)) if slot.type.is_boolean else value


def _declared(contents: Contents) -> Poly:
    value, at_most = contents.value, contents.at_most
    if at_most is None or not isinstance(value, sp.Symbol):
        return from_sympy(value)
    return Poly.of(Var(value.name, 1, from_sympy(at_most), depth=_DECLARED_DEPTH))


def _bind_descriptor(kernel: Function, name: str, argument: Descriptor, slots: list[Value]) -> dict[Value, Symbolic]:
    box, rank = slots[0], len(argument.extents)
    if box.type.kind != "descriptor" or len(box.type.shape) != rank:
        raise DerivationError(f"{kernel.location}: '{name}' is not a descriptor of {rank} dimensions")
    extents = tuple(
        _bind(kernel, name, extent, slot) for extent, slot in zip(argument.extents, slots[1:], strict=False)
    )
    strides = {slot: Unknown(f"a stride of '{name}'") for slot in slots[1 + rank :]}
    return {box: Box(name, extents), **dict(zip(slots[1 : 1 + rank], extents, strict=True)), **strides}
