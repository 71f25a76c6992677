"""One rule per torch operation: what comes in is a `Call` with symbolic shapes, what goes out its `Amounts`.

A rule states the arithmetic of its operation and, where the default does not hold, the bytes it touches. The default:
every input is read once, each distinct element of it, and every output is written once. There is no rule for
"anything else": `amounts_of` raises `UnknownOperation`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp
import torch
from torch.utils._pytree import tree_leaves

from tfcost.derive.errors import UnknownOperation
from tfcost.derive.sizes import Sizes

ZERO = sp.Integer(0)
# Write all of their first argument, whatever was in it.
_OVERWRITES = frozenset({"aten.copy_", "aten.fill_", "aten.zero_", "aten.bernoulli_"})


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one operation costs. `read_bytes` or `write_bytes` of None mean the default (see the module's text).

    A collective says what it is given over which `group` of GPUs.
    """

    matmul_flops: sp.Expr = ZERO
    scalar_flops: sp.Expr = ZERO
    read_bytes: sp.Expr | None = None
    write_bytes: sp.Expr | None = None
    communicated_bytes: sp.Expr = ZERO
    group: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One dispatched operation: its overload, arguments, result, and the sizes its shapes are written in."""

    func: torch._ops.OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    sizes: Sizes

    @property
    def inputs(self) -> list[torch.Tensor]:
        """All tensor arguments that are read: neither what is copied over nor the result of an `out=`."""
        given = {argument.name for argument in self.func._schema.arguments if argument.is_out}
        args = self.args[1:] if operation_name(self.func) in _OVERWRITES else self.args
        read = (args, {name: value for name, value in self.kwargs.items() if name not in given})
        return [leaf for leaf in tree_leaves(read) if isinstance(leaf, torch.Tensor)]

    @property
    def outputs(self) -> list[torch.Tensor]:
        """All tensor results."""
        return [leaf for leaf in tree_leaves(self.result) if isinstance(leaf, torch.Tensor)]

    def shape(self, tensor: torch.Tensor) -> list[sp.Expr]:
        """The tensor's shape in named symbols."""
        return [self.sizes.expr(size) for size in tensor.shape]

    def numel(self, tensor: torch.Tensor) -> sp.Expr:
        """How many elements the tensor has."""
        return sp.Mul(*self.shape(tensor))

    def distinct_bytes(self, tensor: torch.Tensor) -> sp.Expr:
        """Bytes of the tensor's distinct elements: an expanded dimension (stride 0) counts once."""
        kept = [
            size
            for size, stride in zip(self.shape(tensor), tensor.stride(), strict=True)
            if not (isinstance(stride, int) and stride == 0)
        ]
        return sp.Mul(self.sizes.element_bytes(tensor), *kept)


Rule = Callable[[Call], Amounts]
_RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers a rule for the operations called `names` ("aten.mm"). A second rule for one name raises."""

    def register(function: Rule) -> Rule:
        for name in names:
            if name in _RULES:
                raise ValueError(f"two rules for {name}")
            _RULES[name] = function
        return function

    return register


def operation_name(func: torch._ops.OpOverload) -> str:
    """The name rules go by: namespace and operation, without the overload ("aten.add")."""
    return str(func.overloadpacket)


def amounts_of(call: Call, location: str) -> Amounts:
    """What `call` costs, by its rule; views are free by their schema. Raises `UnknownOperation`."""
    found = _RULES.get(operation_name(call.func))
    if found is not None:
        return found(call)
    if is_view(call.func):
        return Amounts(read_bytes=ZERO, write_bytes=ZERO)
    raise UnknownOperation(f"{location}: no rule for the operation {call.func}; its cost is unknown, not zero")


def is_view(func: torch._ops.OpOverload) -> bool:
    """Whether the schema says that every result is an alias of an argument and nothing is written."""
    returns = func._schema.returns
    return bool(returns) and all(r.alias_info is not None and not r.alias_info.is_write for r in returns)
