"""Catches Triton launches inside traced code: the kernel's IR is walked with the launch's own symbolic arguments.

While `intercept_launches` is active no kernel runs. Each launch becomes records in the tracer, one per source line of
the kernel and kind of work, so that a torch launcher and its kernels are one cost.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import sympy as sp
import torch

from tfcost.derive.errors import DerivationError
from tfcost.derive.labels import Label, current_label, shown_path
from tfcost.derive.tracer import Record, Tracer

if TYPE_CHECKING:
    from tfcost.derive.ttir.kernel_cost import Event, KernelCost

_Items: TypeAlias = tuple[tuple[str, Any], ...]
_POINTEES = {
    torch.float64: "fp64", torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.int64: "i64",
    torch.int32: "i32", torch.int16: "i16", torch.int8: "i8", torch.uint8: "u8", torch.bool: "i1",
}  # fmt: skip
_SOURCE = re.compile(r"[^\s:]+\.py(?=:\d)")
_AMOUNT_OF = {"dot": "matmul_flops", "scalar": "scalar_flops", "load": "read_bytes", "store": "write_bytes"}


@contextmanager
def intercept_launches(tracer: Tracer) -> Iterator[None]:
    """Files every `kernel[grid](...)` of the block in `tracer`. Without Triton there is nothing to catch."""
    try:
        from triton.runtime.autotuner import Autotuner
        from triton.runtime.jit import JITFunction
    except ImportError:
        yield
        return

    def launch(kernel: Any, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> None:
        _file_launch(tracer, kernel, args, grid, kwargs)

    def first_configuration(tuner: Any, *args: Any, **kwargs: Any) -> None:
        tracer.note(f"autotuned: {tuner.configs[0]} of {len(tuner.configs)} configurations is derived")
        tuner.fn.run(*args, **{**tuner.configs[0].all_kwargs(), **kwargs})

    run, tune = JITFunction.run, Autotuner.run
    JITFunction.run, Autotuner.run = launch, first_configuration
    try:
        yield
    finally:
        JITFunction.run, Autotuner.run = run, tune


@dataclass(frozen=True, slots=True)
class _Bound:
    """A launch's arguments, sorted by what the compiler and the walk each need of them."""

    signature: dict[str, str]
    constexprs: dict[str, Any]
    arguments: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def _file_launch(tracer: Tracer, kernel: Any, args: tuple[Any, ...], grid: Any, kwargs: dict[str, Any]) -> None:
    label = current_label()
    values = dict(zip(kernel.arg_names, args, strict=False))
    values |= {name: value for name, value in kwargs.items() if name in kernel.arg_names}
    for parameter in kernel.params:
        if parameter.name not in values:
            if not parameter.has_default:
                raise DerivationError(f"{label.location}: {kernel.fn.__name__} is launched without '{parameter.name}'")
            values[parameter.name] = parameter.default
    bound = _bind(tracer, kernel, values, label)
    extents = grid(values) if callable(grid) else grid
    size = [tracer.sizes.expr(extent) for extent in (*extents, 1, 1)[:3]]
    cost = _kernel_cost(
        kernel, _items(bound.signature), _items(bound.constexprs), _items(bound.arguments), (size[0], size[1], size[2]),
        kwargs.get("num_warps", 4), kwargs.get("num_stages", 3),
    )  # fmt: skip
    tracer.launched = True
    tracer.memory.sweep()
    tracer.memory.note()
    for note in cost.notes:
        tracer.note(_SOURCE.sub(lambda path: shown_path(path[0]), note))
    tracer.sram_bytes += map(sp.Integer, cost.live_bytes)
    number = sum(record.launch != "" and record.launches > 0 for record in tracer.records)
    for record in _records(f"{cost.kernel}#{number}", label.step or cost.kernel, cost.events):
        tracer.file(record)
    _touch(tracer, bound.tensors, cost.events)


def _items(mapping: Mapping[str, Any]) -> _Items:
    return tuple(mapping.items())


@lru_cache(maxsize=256)
def _kernel_cost(
    kernel: Any, signature: _Items, constexprs: _Items, arguments: _Items, grid: tuple[sp.Expr, sp.Expr, sp.Expr],
    num_warps: int, num_stages: int,
) -> "KernelCost":  # fmt: skip
    """What one launch costs. A technique's variants launch the same kernels with the same symbols again and again."""
    from tfcost.derive.offline import ttir_text
    from tfcost.derive.ttir.walk import walk_kernel

    text = ttir_text(kernel, dict(signature), dict(constexprs), num_warps=num_warps, num_stages=num_stages)
    return walk_kernel(text, dict(arguments), grid)


def _bind(tracer: Tracer, kernel: Any, values: Mapping[str, Any], label: Label) -> _Bound:
    """Numbers equal to 1 and None become constants, as in a real launch."""
    from tfcost.derive.ttir.arguments import Contents, Pointer

    bound = _Bound({}, {}, {}, {})
    for parameter in kernel.params:
        name, value = parameter.name, values[parameter.name]
        if parameter.is_constexpr and isinstance(value, torch.SymInt):
            size = tracer.sizes.expr(value)
            raise DerivationError(
                f"{label.location}: {kernel.fn.__name__}: '{name}' is a constexpr and depends on a size ({size}): each "
                f"value of it is a kernel of its own; give the size a value"
            )
        if parameter.is_constexpr or value is None or (isinstance(value, int) and value == 1):
            bound.signature[name], bound.constexprs[name] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            if value.dtype not in _POINTEES:
                raise DerivationError(f"{label.location}: {kernel.fn.__name__}: '{name}' points to {value.dtype}")
            contents = tracer.declared(value)
            bound.signature[name] = f"*{_POINTEES[value.dtype]}"
            bound.arguments[name] = Pointer(Contents(*contents) if contents else None)
            bound.tensors[name] = value
        elif isinstance(value, int | torch.SymInt):
            bound.signature[name], bound.arguments[name] = "i32", tracer.sizes.expr(value)
        elif isinstance(value, float | torch.SymFloat):
            bound.signature[name], bound.arguments[name] = "fp32", None
        elif hasattr(value, "block_shape") and hasattr(value, "base"):
            _bind_descriptor(tracer, name, value, bound)
        else:
            kind = type(value).__name__
            raise DerivationError(f"{label.location}: {kernel.fn.__name__}: '{name}' is {kind}, which no rule covers")
    return bound


def _bind_descriptor(tracer: Tracer, name: str, value: Any, bound: _Bound) -> None:
    from tfcost.derive.ttir.arguments import Descriptor

    block = ",".join(map(str, value.block_shape))
    bound.signature[name] = f"tensordesc<{_POINTEES[value.base.dtype]}[{block}]>"
    bound.arguments[name] = Descriptor(tuple(tracer.sizes.expr(extent) for extent in value.shape))
    bound.tensors[name] = value.base


def _records(launch: str, step: str, events: tuple["Event", ...]) -> list[Record]:
    """One record per source line and kind; the first of a launch carries the start of the kernel."""
    zero = sp.Integer(0)
    groups: dict[tuple[str, int, str], Record] = {}
    for event in events:
        operation = event.operation
        key = (event.path, event.line, operation)
        label = Label(step, event.path, event.line)
        empty = Record(label, operation, zero, zero, zero, zero, launch=launch, launches=0, note=event.note)
        record = groups.get(key, empty)
        # An atomic reads and writes what it touches.
        for name in ("read_bytes", "write_bytes") if event.kind == "atomic" else (_AMOUNT_OF[event.kind],):
            record = replace(record, **{name: sp.expand(getattr(record, name) + event.amount)})
        groups[key] = record
    found = list(groups.values())
    return [replace(record, launches=int(position == 0)) for position, record in enumerate(found)]


def _touch(tracer: Tracer, tensors: Mapping[str, torch.Tensor], events: tuple["Event", ...]) -> None:
    """Counts the tensors a kernel reads and writes towards the run's unique bytes, each as a whole: an upper bound
    where a kernel skips parts of one.
    """
    kinds: dict[str, set[str]] = {}
    for event in events:
        if event.kind in ("load", "store", "atomic"):
            names = [event.tensor_argument] if event.tensor_argument else list(tensors)
            for name in names:
                kinds.setdefault(name, set()).add(event.kind)
    for name, found in kinds.items():
        tensor = tensors[name]
        size = sp.Mul(*(tracer.sizes.expr(extent) for extent in tensor.shape)) * tracer.sizes.element_bytes(tensor)
        if found & {"load", "atomic"}:
            tracer.touch_read(tensor, size)
        if found & {"store", "atomic"}:
            tracer.touch_write(tensor, size)
