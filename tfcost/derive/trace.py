"""Runs a subject symbolically and hands over what it cost: one `PassTrace` per pass, all expressions in sympy.

The traced code runs exactly as it would for real, on fake tensors, under the tracer, the Triton interception and the
node labels.
"""

import gc
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
import torch

from tfcost.declared import listening
from tfcost.derive.errors import DerivationError
from tfcost.derive.harness import run_forward, run_held, run_released, tensors_in
from tfcost.derive.labels import NodeLabels, is_user_file, shown_path
from tfcost.derive.launch import intercept_launches
from tfcost.derive.memory import NOBODY, Held, undominated
from tfcost.derive.sizes import Sizes
from tfcost.derive.subject import Subject, Tensor, build_arguments
from tfcost.derive.tracer import Record, Tracer
from tfcost.errors import UserError

ZERO = sp.Integer(0)


@dataclass(frozen=True, slots=True)
class PassTrace:
    """One traced pass. `peak` is a set of candidates (the peak is their maximum), and so is `sram_bytes`, one for each
    point of each kernel; `extra` holds what a chain of parts needs to know (`trace_part`). `held` is what was alive at
    each candidate, where that is known, and `saved` what makes up `saved_bytes`.
    """

    records: tuple[Record, ...]
    peak: tuple[sp.Expr, ...]
    unique_bytes: sp.Expr
    saved_bytes: sp.Expr | None = None
    parameter_bytes: sp.Expr = ZERO
    parameters: sp.Expr = ZERO
    workspace: tuple[str, ...] = ()
    sram_bytes: tuple[sp.Expr, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: str = "traced"
    any_width: bool = True
    given_bytes: sp.Expr = ZERO
    input_bytes: sp.Expr = ZERO
    extra: dict[str, tuple[sp.Expr, ...]] = field(default_factory=dict)
    held: Mapping[sp.Expr, tuple[Held, ...]] = field(default_factory=dict)
    saved: tuple[Held, ...] = ()


@contextmanager
def _environment(subject: Subject, dtype: torch.dtype, device: str) -> Iterator[tuple[Sizes, Tracer]]:
    sizes = Sizes(subject.sizes, dtype, subject.hints)
    tracer = Tracer(sizes, device)
    with ExitStack() as stack:
        stack.enter_context(_no_collection())
        stack.enter_context(sizes.mode)
        stack.enter_context(tracer)
        stack.enter_context(NodeLabels())
        stack.enter_context(intercept_launches(tracer))
        stack.enter_context(listening(tracer.declare))
        try:
            yield sizes, tracer
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise _explained(error, sizes) from error
    sizes.require_symbolic()


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: when memory is released must not depend on when the collector happens to run."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _explained(error: BaseException, sizes: Sizes) -> DerivationError:
    """What went wrong in the traced code, with the line of it that was running."""
    place = "the traced code"
    for frame in traceback.extract_tb(error.__traceback__):
        if is_user_file(frame.filename):
            place = f"{shown_path(frame.filename)}:{frame.lineno}"
    message = " ".join(sizes.renamed(str(error)).split())
    return DerivationError(f"{place}: {type(error).__name__}: {message[:300]}")


def trace_forward(subject: Subject, dtype: torch.dtype, device: str = "cuda") -> PassTrace:
    """The forward pass without gradients. Peak memory includes inputs and parameters."""
    with _environment(subject, dtype, device) as (sizes, tracer):
        arguments = _given(tracer, build_arguments(subject, sizes, dtype, training=False))
        tracer.begin()
        result = run_forward(subject.function, arguments)
        if not tensors_in(result):
            raise DerivationError("the function returned no tensor; a cost is that of computing a result")
        return _finish(subject, arguments, tracer)


def trace_backward(subject: Subject, dtype: torch.dtype, device: str = "cuda") -> PassTrace:
    """The backward pass; inputs, output and output gradient are held by the caller. `saved_bytes` is what the forward
    pass left for it beyond inputs, parameters and outputs.
    """
    saved: list[tuple[Held, ...]] = []
    with _environment(subject, dtype, device) as (sizes, tracer):
        arguments = _given(tracer, build_arguments(subject, sizes, dtype, training=True))

        def begin_backward(outputs: list[torch.Tensor]) -> None:
            held = tracer.memory.held_except([*tensors_in(arguments), *outputs])
            # The outputs' gradients are the caller's.
            saved.append(tuple(one for one in held if one.label != NOBODY))
            tracer.begin()

        run_held(subject.function, arguments, begin_backward)
        saved_bytes = sp.expand(sp.Add(*(one.size for one in saved[0])))
        return replace(_finish(subject, arguments, tracer, saved_bytes), saved=saved[0])


def _given(tracer: Tracer, arguments: dict[str, Any]) -> dict[str, Any]:
    """`arguments`, known to the tracer's memory by their names."""
    for name, argument in arguments.items():
        for tensor in tensors_in(argument):
            tracer.memory.give(tensor, name)
    return arguments


def trace_part(subject: Subject, dtype: torch.dtype, device: str = "cuda") -> tuple[PassTrace, PassTrace]:
    """Forward (as in training) and backward of one part of a chain, whose input `x` (if it has one) and output nobody
    else holds.

    `extra` of the backward pass describes the part to whoever composes a chain: the peak of each pass above what was
    alive when it began (`forward_local_bytes`, with the input; `backward_local_bytes`, with the output's gradient),
    what the forward pass leaves (`saved_bytes`), `input_bytes`, `output_bytes`, and what the backward pass leaves:
    `gradient_bytes` of its parameters, and nothing else. `released_input_bytes` is there if the input is not kept.
    """
    levels: dict[str, tuple[sp.Expr, ...]] = {}
    forward: list[PassTrace] = []
    inputs: set[int] = set()
    first = subject.arguments.get("x")
    with _environment(subject, dtype, device) as (sizes, tracer):
        rest = Subject(subject.function, {k: v for k, v in subject.arguments.items() if k != "x"}, subject.sizes,
                       subject.fixed)  # fmt: skip
        arguments = _given(tracer, build_arguments(rest, sizes, dtype, training=True))
        memory = tracer.memory
        base = memory.live()

        def make_input() -> torch.Tensor:
            alone = Subject(subject.function, {"x": first}, subject.sizes, subject.fixed)
            made = build_arguments(alone, sizes, dtype, training=False)["x"]
            assert isinstance(made, torch.Tensor)
            inputs.add(memory.serial(made))
            return made

        def begin_forward() -> None:
            levels["start"] = (memory.live(),)
            tracer.begin()

        def end_forward() -> None:
            forward.append(_finish(subject, arguments, tracer))
            levels["after_forward"] = (memory.live(),)
            inputs.intersection_update(memory.serials())

        def begin_backward() -> None:
            levels["backward_start"] = (memory.live(),)
            tracer.begin()

        make = make_input if isinstance(first, Tensor) else None
        run_released(subject.function, make, arguments, begin_forward, end_forward, begin_backward)
        backward = _finish(subject, arguments, tracer)
        levels["end"] = (memory.live(),)
    return _with_extra(forward[0], backward, levels, base, releases_input=make is not None and not inputs)


def _with_extra(
    forward: PassTrace, backward: PassTrace, levels: dict[str, tuple[sp.Expr, ...]], base: sp.Expr, releases_input: bool
) -> tuple[PassTrace, PassTrace]:
    """What a chain needs: everything relative to what was alive when the pass began."""
    start, after, turn, end = (levels[key][0] for key in ("start", "after_forward", "backward_start", "end"))
    extra = {
        "forward_local_bytes": undominated(sp.expand(peak - start) for peak in forward.peak),
        "backward_local_bytes": undominated(sp.expand(peak - turn) for peak in backward.peak),
        "input_bytes": (sp.expand(start - base),),
        "saved_bytes": (sp.expand(after - base),),
        "output_bytes": (sp.expand(turn - after),),
        "gradient_bytes": (sp.expand(end - base),),
    }
    saved, given = extra["saved_bytes"][0], extra["input_bytes"][0]
    # A loss, which is no link between others, has no output.
    if releases_input and extra["output_bytes"][0] != 0:
        extra["released_input_bytes"] = (given,)
    return (
        replace(forward, saved_bytes=saved, input_bytes=given),
        replace(backward, saved_bytes=saved, extra=extra),
    )


def _finish(
    subject: Subject, arguments: dict[str, Any], tracer: Tracer, saved_bytes: sp.Expr | None = None
) -> PassTrace:
    tracer.memory.sweep()
    parameters = [
        arguments[name]
        for name, argument in subject.arguments.items()
        if isinstance(argument, Tensor) and argument.role == "parameter"
    ]
    sizes = tracer.sizes
    counts = [sp.Mul(*(sizes.expr(size) for size in parameter.shape)) for parameter in parameters]
    return PassTrace(
        records=tuple(tracer.records),
        peak=tracer.memory.peak(),
        unique_bytes=sp.expand(tracer.unique_bytes()),
        saved_bytes=saved_bytes,
        parameter_bytes=sp.expand(sp.Add(*(tracer.memory.storage_bytes(parameter) for parameter in parameters))),
        parameters=sp.expand(sp.Add(*counts)),
        workspace=tuple(sorted(tracer.workspace_used)),
        sram_bytes=tuple(tracer.sram_bytes),
        notes=tuple(dict.fromkeys(tracer.notes)),
        provenance="ttir" if tracer.launched else "traced",
        any_width=not (tracer.launched or tracer.converted),
        given_bytes=tracer.given_bytes,
        input_bytes=tracer.memory.storage_bytes(arguments["x"]) if "x" in arguments else ZERO,
        held=tracer.memory.held(),
    )
