"""Which code a cost was derived from: the technique's variant, and the hash of the files that run."""

import sys
from functools import cache

from tfcost.cost import Cost
from tfcost.derive.discovery import techniques
from tfcost.derive.sources import source_digests
from tfcost.derive.technique import Variant
from tfcost.errors import UserError
from tfcost.evidence.sources import source_hash


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
def code_hash(technique: str) -> str:
    """The hash of a technique's files as they are now; the book has that of the files it was derived from."""
    return source_hash(source_digests(technique))


@cache
def model_hash(techniques: tuple[str, ...]) -> str:
    """The same over all techniques that a model is made of."""
    return source_hash({name: code_hash(name) for name in techniques})


@cache
def triton_kernels() -> frozenset[str]:
    """The names of all kernels that are written in Triton, once the techniques are imported."""
    from triton.runtime.jit import JITFunction

    modules = [module for name, module in list(sys.modules.items()) if name.startswith("tfcost_kernels")]
    return frozenset(
        value.fn.__name__ for module in modules for value in vars(module).values() if isinstance(value, JITFunction)
    )
