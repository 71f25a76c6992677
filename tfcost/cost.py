"""The record that stages hand over: a technique's derived cost as formulas.

`derive` makes a `Cost`, `book` writes and reads it, `analysis` and `report` use it. Nothing here needs torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfcost.formula import Formula

AMOUNTS = ("matmul_flops", "scalar_flops", "read_bytes", "write_bytes", "communicated_bytes", "collectives")
"""What adds up over operations; `collectives` is how many of them are one."""

TILED_TRAFFIC, TILED_MEMORY = "tiled_issued_bytes", "tiled_sram_bytes"
"""Entries of `Cost.composition` of a tiled kernel, formulas of B_M, B_N, n, d_h: the bytes that one head issues, and
those that one program keeps on chip. For n keys, n a multiple of B_M, B_M one of B_N.
"""

IN_FLIGHT = "in_flight"
"""Entry of `Cost.composition` of a stage of a pipeline, a formula of Q and A: how many micro-batches are through its
forward pass and not through its backward pass, at most.
"""

CHECKPOINTED_ACTIVATIONS, CHECKPOINTED_PEAK = "checkpointed_activation_bytes", "checkpointed_peak_bytes"
"""Entries of `Cost.composition` of a stack of L layers that keeps checkpoints, formulas of L and s: with one every s
layers, the most bytes alive in the backward pass before any layer but the running one has gradients of its weights, the
weights themselves left out; and the peak of the whole step.
"""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity of a cost: its `exact` formula, a `readable` form under `regime` (None: the exact one is readable),
    and its provenance: traced, ttir, summed, interpolated or declared.
    """

    exact: Formula
    provenance: str
    readable: Formula | None = None
    regime: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One torch operation or one line of a kernel's IR, with what it costs in total (loops and grid summed).

    `amounts` has the keys of `AMOUNTS` that are not zero. `launches` is how many kernels it starts (0 for a line
    inside a kernel whose launch is counted elsewhere). `location` is "path.py:line", `code` that line's text.
    """

    name: str
    step: str
    location: str
    code: str
    amounts: Mapping[str, Formula]
    launch: str = ""
    launches: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """A labelled part of a technique (projections, scores, softmax, ...): sums of its operations' amounts."""

    name: str
    amounts: Mapping[str, Formula]


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one kind of `collective` ("all_reduce") over the GPUs that the symbol `group` counts is given, in `bytes` on
    one of them, and how many `calls` of it that is.
    """

    collective: str
    group: str
    bytes: Formula
    calls: Formula


@dataclass(frozen=True, slots=True)
class Held:
    """Memory alive at one moment: `bytes` that operation `name` made at `location` ("path.py:line"), or, with the step
    "arguments", that the argument `name` takes.
    """

    name: str
    step: str
    location: str
    code: str
    bytes: Formula


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment at which memory may be highest: the `total` bytes alive, and whose they are."""

    total: Formula
    held: Sequence[Held]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one variant of a technique costs in one pass.

    `variant` holds options ({"causal": False}), `fixed` the symbols that have one value here ({"d_h": 64}),
    `relations` the definitions of symbols that the caller does not give ({"r": "h/h_kv"} are already substituted;
    here only conditions such as "h_kv divides h" appear, in `assumptions`). `moments` are those that `peak_bytes` is
    the largest of, and `saved` what makes up `saved_bytes`; the book keeps neither. `communication` are the bytes that
    collectives are given.
    """

    technique: str
    implementation: str
    scope: str
    pass_: str
    dtypes: tuple[str, ...]
    variant: Mapping[str, object]
    fixed: Mapping[str, int]
    symbols: tuple[str, ...]
    quantities: Mapping[str, Quantity]
    steps: Sequence[Step]
    operations: Sequence[Operation]
    assumptions: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()
    composition: Mapping[str, Formula] = field(default_factory=dict)
    communication: Sequence["Transfer"] = ()
    moments: Sequence[Moment] = ()
    saved: Sequence[Held] = ()
