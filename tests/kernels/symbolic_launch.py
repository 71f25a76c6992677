"""Runs a launcher on fake tensors with symbolic or plain sizes and keeps its kernel launches instead of making them.

A kept launch can be compiled for compute capability 9.0 without a GPU (`build`): that is what catches a kernel which
runs in the interpreter and does not compile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import sympy
import torch
from torch._dynamo.source import ConstantSource
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from triton.runtime.jit import JITFunction

from tfcost.derive.offline import Build, compile_metadata

_POINTEES = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.int8: "i8",
    torch.uint8: "u8",
    torch.int32: "i32",
    torch.int64: "i64",
}


@dataclass(frozen=True, slots=True)
class Launch:
    """One `kernel[grid](...)`: every parameter's value by name, and the options."""

    kernel: Any
    grid: tuple[Any, ...]
    values: dict[str, Any]
    warps: int
    stages: int

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.kernel.fn.__name__


@contextmanager
def launches() -> Iterator[list[Launch]]:
    """Every launch of the block, in order; no kernel is compiled or run."""
    seen: list[Launch] = []

    def record(kernel: Any, *args: Any, grid: tuple[Any, ...], **kwargs: Any) -> None:
        values = dict(zip(kernel.arg_names, args, strict=False))
        values |= {name: value for name, value in kwargs.items() if name in kernel.arg_names}
        seen.append(Launch(kernel, grid, values, kwargs["num_warps"], kwargs["num_stages"]))

    with mock.patch.object(JITFunction, "run", record):
        yield seen


def symbols(env: ShapeEnv, **hints: int) -> list[Any]:
    """One symbolic size per name, with an example value."""
    return [_symbol(env, name, hint) for name, hint in hints.items()]


def _symbol(env: ShapeEnv, name: str, hint: int) -> Any:
    source = ConstantSource(name)
    symbol = env.create_symbol(hint, source, dynamic_dim=DimDynamic.DYNAMIC, do_not_specialize_zero_one=True)
    return env.create_symintnode(symbol, hint=hint, source=source)


def symbol_env() -> ShapeEnv:
    """An environment in which equal example values do not make equal symbols."""
    return ShapeEnv(duck_shape=False, specialize_zero_one=False)


def assert_nothing_specialised(env: ShapeEnv) -> None:
    """Torch asks whether sizes differ from 1, which holds for every size of interest; an equation would fix one."""
    equations = [guard.expr for guard in env.guards if isinstance(guard.expr, sympy.Eq)]
    assert not equations, equations


def build(launch: Launch) -> Build:
    """Compiles the launch's kernel as a launch with aligned addresses and strides would."""
    signature: dict[str, str] = {}
    constexprs: dict[str, Any] = {}
    aligned: list[str] = []
    for parameter in launch.kernel.params:
        name, value = parameter.name, launch.values[parameter.name]
        if parameter.is_constexpr or value is None or (isinstance(value, int) and value == 1):
            signature[name], constexprs[name] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            signature[name] = f"*{_POINTEES[value.dtype]}"
            aligned.append(name)
        elif isinstance(value, int):
            signature[name] = "i32"
            aligned += [name] if value % 16 == 0 and not parameter.do_not_specialize else []
        else:
            signature[name] = "fp32"
    return compile_metadata(launch.kernel, signature, constexprs, launch.warps, launch.stages, aligned=aligned)
