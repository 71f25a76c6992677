"""Symbolic sizes: names in, torch.SymInt for the traced code out, and sympy expressions back.

One `Sizes` is one tracing environment (a ShapeEnv and a FakeTensorMode). `expr` turns whatever torch computed from
the sizes into plain sympy over the named symbols; `require_symbolic` fails when a size became a number on the way.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from math import prod
from traceback import FrameSummary
from typing import Any

import sympy as sp
import torch
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.utils._sympy import functions as torch_functions

from tfcost.derive.errors import DerivationError, SpecialisedSize
from tfcost.derive.labels import is_user_file, shown_path

# Hints are distinct primes: torch decides layouts by them, and equal or composite hints would invite coincidences.
_HINTS = (37, 41, 17, 97, 23, 29, 31, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89)


# The width of the run's own dtype, until a number takes its place. No size can have this name.
ELEMENT = sp.Symbol("bytes of an element", integer=True, positive=True)


def size_symbol(name: str) -> sp.Symbol:
    """The sympy symbol of a size: a positive integer."""
    return sp.Symbol(name, integer=True, positive=True)


class Sizes:
    """Named symbolic sizes and the fake-tensor mode in which code runs on them.

    `names` become symbols; `hints` overrides the number torch uses for a name when it must pick a memory layout.
    Tensors of `dtype`, the run's own, take `ELEMENT` bytes an element: one trace serves every width of it.
    """

    def __init__(self, names: tuple[str, ...], dtype: torch.dtype, hints: Mapping[str, int] | None = None) -> None:
        self.dtype = dtype
        self.env = ShapeEnv(
            duck_shape=False,
            specialize_zero_one=False,
            allow_scalar_outputs=False,
            allow_dynamic_output_shape_ops=False,
        )
        self.mode = FakeTensorMode(shape_env=self.env, allow_non_fake_inputs=True)
        # Symbolic shapes rarely repeat: keeping results for reuse costs more than computing them.
        self.mode.cache_enabled = False
        # What goes wrong is raised and told once; the mode's own log would put a traceback before it.
        logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
        self._ints: dict[str, torch.SymInt] = {}
        self._plain: dict[sp.Symbol, sp.Symbol] = {}
        self._cache: dict[Any, sp.Expr] = {}
        self._places: list[str] = []
        for position, name in enumerate(names):
            hint = (hints or {}).get(name, _HINTS[position % len(_HINTS)])
            source = ConstantSource(name)
            internal = self.env.create_symbol(
                hint, source=source, dynamic_dim=DimDynamic.DYNAMIC, do_not_specialize_zero_one=True
            )
            value = self.env.create_symintnode(internal, hint=hint, source=source)
            assert isinstance(value, torch.SymInt)
            self._ints[name] = value
            self._plain[internal] = size_symbol(name)

    def __getitem__(self, name: str) -> torch.SymInt:
        return self._ints[name]

    def build(self, expr: sp.Expr, fixed: Mapping[str, int]) -> torch.SymInt | int:
        """The size that `expr` (a polynomial in symbol names) stands for, as traced code sees it."""
        if isinstance(expr, sp.Symbol):
            if expr.name in fixed:
                return fixed[expr.name]
            if expr.name not in self._ints:
                raise DerivationError(f"size '{expr.name}' is not declared (--dim {expr.name})")
            return self._ints[expr.name]
        if isinstance(expr, sp.Integer):
            return int(expr)
        if isinstance(expr, sp.Pow) and isinstance(expr.exp, sp.Integer) and expr.exp > 0:
            return prod([self.build(expr.base, fixed)] * int(expr.exp))
        if isinstance(expr, sp.Add | sp.Mul):
            parts = [self.build(argument, fixed) for argument in expr.args]
            return sum(parts[1:], parts[0]) if isinstance(expr, sp.Add) else prod(parts)
        raise DerivationError(f"a shape may use + - * and integer powers only, not '{expr}'")

    def expr(self, value: Any) -> sp.Expr:
        """`value` (int, float or a symbolic number of torch's) as sympy over the named symbols."""
        if not isinstance(value, torch.SymInt | torch.SymFloat):
            return sp.Integer(value) if isinstance(value, int) else sp.Float(value)
        internal = value.node.expr
        if internal not in self._cache:
            self._cache[internal] = sp.expand(_plain_functions(internal.xreplace(self._plain)))
        return self._cache[internal]

    def element_bytes(self, tensor: torch.Tensor) -> sp.Expr:
        """Bytes of one element of the tensor: `ELEMENT` if it has the run's own dtype."""
        if tensor.dtype == self.dtype:
            return ELEMENT
        return sp.Integer(tensor.element_size())

    def view_key(self, tensor: torch.Tensor) -> tuple[object, ...]:
        """Equal for two tensors that are the same elements of the same storage."""
        layout = (tensor.storage_offset(), *tensor.shape, *tensor.stride())
        return tensor.untyped_storage()._cdata, tensor.dim(), *(self.expr(number) for number in layout)

    def renamed(self, text: str) -> str:
        """A message of torch's with the sizes' names in place of its own ("s40*s69" is "d*n")."""
        names = {str(internal): plain.name for internal, plain in self._plain.items()}
        return re.sub(r"\bs\d+\b", lambda found: names.get(found[0], found[0]), text)

    def place_conditions(self, location: str) -> None:
        """Files what was asked about sizes since the last call under the line `location`; raises as
        `require_symbolic` does.
        """
        new = self.env.guards[len(self._places) :]
        self._places += [location] * len(new)
        if any(isinstance(guard.expr, sp.Eq) for guard in new):
            self.require_symbolic()

    def decisions(self) -> list[tuple[sp.Basic, str]]:
        """What lines of the traced code asked about its sizes and were told is true, each with its line: where a size
        is compared, one way is taken, and the result is that of this way alone.
        """
        return [(condition, place) for condition, place, by_user in self._conditions() if by_user]

    def require_symbolic(self) -> None:
        """Raises `SpecialisedSize` if running the code fixed a size or tied one size to another."""
        names = {self._plain[symbol].name for symbol in self.env.replacements if symbol in self._plain}
        reasons: dict[str, None] = {}
        for condition, place, _ in self._conditions():
            if isinstance(condition, sp.Eq) and condition.free_symbols and not _holds_for_nonempty(condition):
                names |= {symbol.name for symbol in condition.free_symbols if isinstance(symbol, sp.Symbol)}
                number = any(side.is_Integer for side in condition.args)
                wanted = f"needs {condition.lhs} as a number" if number else f"needs {condition.lhs} = {condition.rhs}"
                reasons[f"{place} {wanted}"] = None
        if names:
            why = f": {'; '.join(reasons)}" if reasons else ""
            raise SpecialisedSize(tuple(sorted(names)), f"size {', '.join(sorted(names))} did not stay symbolic{why}")

    def _conditions(self) -> Iterator[tuple[sp.Basic, str, bool]]:
        """(condition, place, whether a line of the traced code itself asked) for every answer given about sizes."""
        for position, guard in enumerate(self.env.guards):
            condition, frame = guard.expr.xreplace(self._plain), guard.sloc.framework_loc
            if isinstance(frame, FrameSummary) and is_user_file(frame.filename):
                yield condition, f"{shown_path(frame.filename)}:{frame.lineno}", True
            else:
                yield condition, self._places[position] if position < len(self._places) else "torch", False


def _holds_for_nonempty(condition: sp.Eq) -> bool:
    """Whether the equation only says that some size x is not zero: torch asks Max(1, x) = x about strides."""
    sides = [_plain_functions(side).replace(sp.Max, lambda *terms: sp.Mul(*(t for t in terms if t != 1)))
             for side in condition.args]  # fmt: skip
    return bool(sp.expand(sides[0] - sides[1]) == 0)


def _plain_functions(expr: sp.Expr) -> sp.Expr:
    """Torch's own division and min/max functions rewritten as sympy's ceiling, floor, Min, Max, Mod."""
    if not expr.args or expr.is_Atom:
        return expr
    arguments = [_plain_functions(argument) for argument in expr.args]
    name = type(expr).__name__
    if isinstance(expr, torch_functions.FloorDiv):
        return _floor_division(*arguments)
    if name in ("CeilToInt", "CeilDiv"):
        return sp.ceiling(arguments[0] if len(arguments) == 1 else arguments[0] / arguments[1])
    if name in ("FloorToInt", "TruncToInt"):
        return sp.floor(arguments[0])
    if name in ("IntTrueDiv", "FloatTrueDiv"):
        return arguments[0] / arguments[1]
    if name in ("PythonMod", "Mod"):
        return sp.Mod(*arguments)
    if name in ("Max", "Min"):
        return getattr(sp, name)(*arguments)
    if name in ("ToFloat", "Identity"):
        return arguments[0]
    if name == "ModularIndexing":
        return sp.Mod(_floor_division(arguments[0], arguments[1]), arguments[2])
    return expr.func(*arguments)


def _floor_division(numerator: sp.Expr, denominator: sp.Expr) -> sp.Expr:
    """floor(a/b), read back as ceiling(x/b) where a = x + b - 1: the idiom for "how many tiles"."""
    rest = sp.expand(numerator - denominator + 1)
    if denominator.is_Integer and denominator > 1 and rest.as_coeff_Add()[0] == 0:
        return sp.ceiling(rest / denominator)
    exact = sp.cancel(numerator / denominator)
    return exact if exact.is_polynomial() and exact.is_integer else sp.floor(numerator / denominator)
