"""Which code a cost was derived from: the technique's variant, and a hash of the source files that run."""

import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tfcost.cost import Cost
from tfcost.derive.command import techniques
from tfcost.derive.technique import Variant
from tfcost.errors import UserError

_OURS = ("tfcost.techniques", "tfcost_kernels")


def variant_of(cost: Cost) -> Variant:
    """The variant that `cost` was derived from. UserError if the code has none, or more than one."""
    found = [variant for variant in _variants(cost.technique) if _made(variant, cost)]
    if len(found) != 1:
        options = ", ".join(f"{name}={value}" for name, value in cost.variant.items())
        raise UserError(f"{cost.technique}: {len(found)} variants in the code for the book's {cost.scope}, {options}")
    return found[0]


@cache
def _variants(technique: str) -> tuple[Variant, ...]:
    return tuple(techniques()[technique].variants())


def _made(variant: Variant, cost: Cost) -> bool:
    fixed = variant.subject.fixed
    passes = {variant.forward, *(["backward"] if variant.backward else [])}
    return (
        variant.scope == cost.scope
        and dict(variant.options) == dict(cost.variant)
        and cost.pass_ in passes
        and all(fixed.get(name) == value for name, value in cost.fixed.items())
        and set(cost.dtypes) <= set(variant.dtypes)
    )


@cache
def source_hash(technique: str) -> str:
    """SHA-256 over the files of a technique: its module, and the techniques and kernels that it uses."""
    digest = hashlib.sha256()
    for name, path in sorted(_files(_module_of(technique))):
        digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def model_hash(attention: str) -> str:
    """The same over everything that a model with this attention technique is made of."""
    parts = [source_hash(technique) for technique in ("transformer", "ffn", attention)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _module_of(technique: str) -> ModuleType:
    known = techniques()[technique]
    return next(module for name, module in list(sys.modules.items())
                if name.startswith(_OURS[0]) and getattr(module, "TECHNIQUE", None) is known)  # fmt: skip


def _files(start: ModuleType) -> set[tuple[str, Path]]:
    """Name and path of `start` and of every module of ours that it uses, directly or through others."""
    waiting, seen = [start], {start.__name__}
    found = set()
    while waiting:
        module = waiting.pop()
        if module.__file__ is not None:
            found.add((module.__name__, Path(module.__file__)))
        for name in _used(module):
            if name not in seen and name in sys.modules:
                seen.add(name)
                waiting.append(sys.modules[name])
    return found


def _used(module: ModuleType) -> Iterator[str]:
    """Names of our modules that what a module holds comes from."""
    for value in list(vars(module).values()):
        name: Any = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name.startswith(_OURS):
            yield name


@cache
def triton_kernels() -> frozenset[str]:
    """The names of all kernels that are written in Triton, once the techniques are imported."""
    from triton.runtime.jit import JITFunction

    modules = [module for name, module in list(sys.modules.items()) if name.startswith(_OURS[1])]
    return frozenset(
        value.fn.__name__ for module in modules for value in vars(module).values() if isinstance(value, JITFunction)
    )
